"""HTML as text: elements, tables, and self-contained pages with one stylesheet."""

import html
from collections.abc import Iterable, Mapping, Sequence

_STYLE = """
:root { --paper: #fff; --ink: #1b1f24; --muted: #57606a; --rule: #d0d7de; --band: #f4f6f8; --mark: #fff1b8;
  --best: #0550ae; --first: #b03a00; --faint: #8c96a1; --bad: #a40e26;
  --s0: #5ec962; --s1: #28ae80; --s2: #21918c; --s3: #2c728e; --s4: #3b528b; --s5: #472d7b; --s6: #440154; }
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #12161b; --ink: #e6e9ed; --muted: #9ea8b4; --rule: #39424d; --band: #1b2128; --mark: #4d4210;
    --best: #79b8ff; --first: #ffa35c; --faint: #6f7a86; --bad: #ff8d98;
    --s0: #3b528b; --s1: #2c728e; --s2: #21918c; --s3: #28ae80; --s4: #5ec962; --s5: #addc30; --s6: #fde725; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 1440px; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
p { max-width: 75ch; margin: .5rem 0; overflow-wrap: anywhere; }
p.headline { font-size: 1.2rem; }
p.note { color: var(--muted); font-size: .9rem; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .25rem 1rem; margin: 0; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; max-width: 100%; margin: .75rem 0; }
.scroll:focus-visible { outline: 2px solid var(--best); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); padding: 0 .6rem .4rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; vertical-align: top; }
thead th { vertical-align: bottom; font-weight: 600; background: var(--band); }
table.numbers td { white-space: nowrap; }
th[scope=row] { position: sticky; left: 0; background: var(--paper); text-align: left; white-space: nowrap; }
thead th:first-child { text-align: left; }
tbody tr:hover > * { background: var(--band); }
table.words th, table.words td { text-align: left; }
table.words td { min-width: 7rem; max-width: 40rem; white-space: pre-line; overflow-wrap: anywhere; }
table.words td ~ td { min-width: 18rem; }
mark { background: var(--mark); color: inherit; font-weight: 700; text-decoration: underline; padding: 0 .15em; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); stroke: var(--paper); stroke-width: 3px;
  stroke-linejoin: round; paint-order: stroke; }
svg .quiet { fill: var(--muted); }
svg .rule { stroke: var(--rule); }
svg .lead { stroke: var(--muted); stroke-dasharray: 1 3; }
svg .curve path { fill: none; stroke-linejoin: round; }
svg .hover-area { stroke: transparent; stroke-width: 9; }
svg .stroke { stroke: var(--faint); stroke-width: 1.25; stroke-opacity: .7; }
svg .curve circle { fill: var(--faint); }
svg .first .stroke, svg .best .stroke { stroke-opacity: 1; }
svg .first .stroke { stroke: var(--first); stroke-width: 2.5; stroke-dasharray: 7 4; }
svg .best .stroke { stroke: var(--best); stroke-width: 3; }
svg .first circle, svg text.first { fill: var(--first); }
svg .best circle, svg text.best { fill: var(--best); }
svg text.first, svg text.best, svg text.strong { font-weight: 700; }
svg .shaded .stroke { stroke-opacity: 1; stroke: var(--shade); stroke-width: var(--width); }
svg .shaded circle { fill: var(--shade); }
svg .curves:hover .curve { opacity: .2; }
svg .curves .curve:hover { opacity: 1; }
svg .curves .curve:hover .stroke { stroke-width: 4; }
svg .bar { fill: var(--best); }
svg .bar.stopped, svg .bar.failed, svg .bar.running { fill: var(--band); stroke: var(--faint); }
svg .bar.failed { stroke: var(--bad); stroke-dasharray: 3 2; }
svg .row:hover .bar { opacity: .75; }
svg .whisker { stroke: var(--ink); stroke-width: 1.5; fill: none; }
@media print {
  @page { size: landscape; margin: 12mm; }
  main { max-width: none; padding: 0; }
  :root { font-size: 11px; }
  body { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .scroll { overflow: visible; }
  table { font-size: 8px; }
  th, td, table.numbers td, table.words td ~ td { padding: 2px 4px; min-width: 0; white-space: normal; }
  th[scope=row] { position: static; }
  h2, caption { break-after: avoid; }
  tr, svg { break-inside: avoid; }
  svg { min-width: 0 !important; }
}
"""


def escape(text: object) -> str:
    r"""Returns plain text as markup; control characters, which no document may hold, become spaces.

    >>> escape("a < b\x1b")
    'a &lt; b '
    """
    return html.escape("".join(c if c.isprintable() or c == "\n" else " " for c in str(text)))


def element(tag: str, *content: str, **attributes: object) -> str:
    """Returns an element.

    Args:
        tag: its name.
        *content: markup.
        **attributes: plain values. An underscore in a name stands for a hyphen; one at the end is dropped.

    >>> element("p", "a", element("b", "c"), class_="note", aria_label='"d"')
    '<p class="note" aria-label="&quot;d&quot;">a<b>c</b></p>'
    """
    written = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(v)}"' for name, v in attributes.items())
    return f"<{tag}{written}>{''.join(content)}</{tag}>"


def scrollable(label: str, content: str) -> str:
    """Returns the markup in a box that scrolls sideways, by keyboard too; `label` is plain text."""
    return element("div", content, class_="scroll", role="region", tabindex=0, aria_label=label)


def table(
    caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], header: int = 0, kind: str = "numbers"
) -> str:
    """Returns a table in a box that scrolls sideways.

    Args:
        caption: plain text.
        headings: markup of each column's heading.
        rows: markup of each row's cells.
        header: index of the column that names the row.
        kind: "numbers" aligns cells to the right, "words" to the left.
    """
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    body = [
        element("tr", *(element("th", c, scope="row") if i == header else element("td", c) for i, c in enumerate(row)))
        for row in rows
    ]
    content = element("caption", escape(caption)) + element("thead", head) + element("tbody", *body)
    return scrollable(caption, element("table", content, class_=kind))


def breakable(name: str) -> str:
    """Returns a dotted name as markup that may wrap after a dot or an underscore."""
    return escape(name).replace(".", ".<wbr>").replace("_", "_<wbr>")


def note(text: str) -> str:
    """Returns plain text as a paragraph in smaller, muted type."""
    return element("p", escape(text), class_="note")


def section(heading: str, *content: str, **attributes: object) -> str:
    """Returns a section of a page under a plain-text heading."""
    return element("section", element("h2", escape(heading)), *content, **attributes)


def definitions(facts: Mapping[str, str]) -> str:
    """Returns a definition list; names and values are plain text."""
    pairs = (element("dt", escape(name)) + element("dd", escape(fact)) for name, fact in facts.items())
    return element("dl", *pairs)


def page(title: str, body: str, style: str = "", before: str = "") -> str:
    """Returns a complete document; its content security policy forbids scripts and anything from the network.

    Args:
        title: plain text.
        body: markup of the <main> element, whose id is "main".
        style: further CSS rules, which override the common ones.
        before: markup ahead of <main>, such as a skip link.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
{before}
<main id="main">
{body}
</main>
</body>
</html>
"""
