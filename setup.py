"""Map folders to packages for `pip install`; everything else is in pyproject.toml.

In an installed copy `page` is called `inpaint_page`, and `assets` lies inside `inpaint`.
"""

from setuptools import find_packages, setup

core = find_packages(include=["inpaint", "inpaint.*"])
page = [name.replace("page", "inpaint_page", 1) for name in find_packages(include=["page", "page.*"])]

setup(
    packages=[*core, *page, "inpaint.assets"],
    package_dir={"inpaint_page": "page", "inpaint.assets": "assets"},
)
