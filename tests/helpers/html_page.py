"""Parses HTML pages for the tests of reports."""

from html.parser import HTMLParser

VOID = {"img", "meta", "wbr"}  # elements without an end tag


class Page(HTMLParser):
    """The elements of a page in document order, each as [tag, attributes, text]; fails if one is not closed."""

    def __init__(self, document):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(document)
        assert self.open == [], "elements without an end tag"

    def handle_starttag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for element in self.open:
            element[2] += data

    def find(self, tag, **attributes):
        """Returns the elements with that tag and those attributes."""
        return [e for e in self.elements if e[0] == tag and all(e[1].get(k) == v for k, v in attributes.items())]

    def texts(self, tag, **attributes):
        """Returns the text of each of those elements."""
        return [text.strip() for _, _, text in self.find(tag, **attributes)]

    def rows(self):
        """Returns the texts of the cells of each table row."""
        rows = []
        for tag, _, text in self.elements:
            if tag == "tr":
                rows.append([])
            elif tag in ("td", "th") and rows:
                rows[-1].append(text.strip())
        return rows
