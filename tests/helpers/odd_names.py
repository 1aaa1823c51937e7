"""Names of folders that are legal and that programs trip over, one for each kind of character."""

_CHARACTERS = r"""[]*?{}\%#~'"`$;&|<>()!@^+,=: """
NAMES = (
    *(f"a{character}b" for character in _CHARACTERS),
    *(f"{character}" for character in "~-*["),
    *("a[0-9]b", "proj [2024]{a,b}*?#%", "**", "[!x]", "{a,b}", "{{x}}", "{0}", "%s", "%(x)s", "%20", "$HOME", "$(id)"),
    *("-x", "--help", "~root", ".hidden", "a.b", "...", " a", "a ", "file:x", "c:", "a\\nb", "tfds:x", "csv:x"),
    *("caf\u00e9", "cafe\u0301", "\u732b", "\U0001f469\u200d\U0001f4bb", "\u0645\u0644\u0641", "a\u00a0b", "x" * 200),
)
NESTED = tuple("/".join(NAMES[start : start + 8]) for start in range(0, len(NAMES), 8))  # all of them, in few paths
REFUSED = ("a\nb", "a\tb", "a\x1b[2Jb", "a\x7fb", "a\x85b", "a\u2028b", "a\udce9b")  # no library can be given these
