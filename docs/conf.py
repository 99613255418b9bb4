"""Settings of Sphinx for the documentation site. `make docs` builds it; tools/documentation/ prepares its sources."""

project = "chunk_ppo_ros"
author = "the authors of chunk_ppo_ros"
html_title = "chunk_ppo_ros"
extensions = [
    "myst_parser",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]

# Pages are plain Markdown that GitHub shows too. Formulas stand between dollar signs.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# Quotation marks and dashes stay as they are: most of them are parts of commands.
smartquotes = False
# Nothing is colored unless a block says its language: most blocks are shell sessions with what they print.
highlight_language = "none"
copybutton_selector = (
    "div.highlight-bash pre, div.highlight-python pre, div.highlight-default pre, div.highlight-none pre"
)
copybutton_exclude = ".go, .gp"

html_theme = "furo"
html_static_path = ["../third_party/mathjax/tex-svg.js", "site.css"]
html_css_files = ["site.css"]
mathjax_path = "tex-svg.js"
html_copy_source = False
html_use_index = False  # Nothing is indexed, because the pages are plain Markdown.
html_show_sphinx = False
html_show_copyright = False
