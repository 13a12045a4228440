"""Let a running page repaint a picture: print previews while it paints, then the result's path.

python app.py &  python examples/api_client.py [ADDRESS PHOTO MASK]
"""

import json
import sys

from gradio_client import Client, handle_file

address, photo, mask = sys.argv[1:] or [
    "http://127.0.0.1:7860",
    "assets/examples/wren.jpg",
    "assets/examples/wren-mask.png",
]

job = Client(address, verbose=False).submit(
    handle_file(photo), handle_file(mask), "pizza", {"steps": 20, "seed": 7}, api_name="/inpaint"
)
for files, status in job:
    state = json.loads(status)
    print(state["state"], state.get("step", ""), state.get("problem", ""), files or "")
