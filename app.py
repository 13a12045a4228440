"""Start the page: `python app.py` opens it on http://127.0.0.1:7860."""

from page.main import main

if __name__ == "__main__":
    main()
