"""A document as its elements, for the tests of reports."""

from html.parser import HTMLParser

VOID = {"img", "meta", "wbr"}


class Page(HTMLParser):
    """The elements of a document: (tag, attributes, text) of each, in the order of their starts."""

    def __init__(self, document):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(document)
        assert self.open == [], "never closed"

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
        return [e for e in self.elements if e[0] == tag and all(e[1].get(k) == v for k, v in attributes.items())]

    def words(self, tag, **attributes):
        return [text.strip() for _, _, text in self.find(tag, **attributes)]
