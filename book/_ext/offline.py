"""Make the site self-contained: no page asks any other host for anything.

Mathematics is set by MathJax, copied out of the pinned wheel `sphinx-mathjax-offline`: of its 24 MB the site gets the one
component it loads, the fonts, and the TeX extensions that component loads on demand.

The theme would load Thebe, which runs code on somebody's server; its scripts are taken out of every page.

A slider is a small script of its own over pictures drawn beforehand. It needs neither the widget scripts, which
`nb_ipywidgets_js: {}` in _config.yml switches off, nor the widget state that myst-nb would write into the page.
"""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

COMPONENTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")
NOTICE = "MathJax 3.2.2, copyright The MathJax Consortium, Apache License 2.0: https://www.mathjax.org\n"


def copy_mathjax(app) -> None:
    """Put MathJax where `mathjax_path` expects it."""
    target = Path(app.outdir) / "_static" / "mathjax"
    with as_file(files("sphinx-mathjax-offline") / "static" / "mathjax") as source:
        for name in COMPONENTS:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if (source / name).is_dir():
                shutil.copytree(source / name, target / name, dirs_exist_ok=True)
            else:
                shutil.copy(source / name, target / name)
    (target / "NOTICE").write_text(NOTICE, encoding="utf-8")


def drop_widget_state(app, doctree) -> None:
    """Forget the state of live widgets, which only a running kernel could use."""
    page = getattr(app.env, "nb_metadata", {}).get(app.env.docname, {})
    page.get("js_files", {}).pop("ipywidgets_state", None)


def drop_thebe(app, pagename, templatename, context, doctree) -> None:
    """Take Thebe's scripts out of the page. Sphinx writes one of them twice, which the browser reports as an error."""
    scripts = context["script_files"]
    context["script_files"] = [script for script in scripts if "thebe" not in f"{script.filename} {script.attributes}".lower()]


def setup(app) -> dict:
    app.connect("builder-inited", copy_mathjax)
    app.connect("doctree-read", drop_widget_state)
    app.connect("html-page-context", drop_thebe, priority=900)  # after the extensions that add scripts
    return {"parallel_read_safe": True, "parallel_write_safe": True}
