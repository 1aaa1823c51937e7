"""What may surround a process: each surrounding is one thing that is unlike a developer's own machine.

A surrounding is shell code that runs the program, `"$@"`, with variables of the environment and the name of the folder
that has the workspace and is the working directory. In the code, $HERE is an empty folder outside it.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

_DEAD = "http://127.0.0.1:9"  # nothing listens there
_NOBODY = "unshare --user --map-user=12345 --map-group=12345"  # no user of that number, and no rights of root's
_SEARCH = ("tune.trials=1", "tune.epochs=1", "tune.steps_per_epoch=2")


@dataclass(frozen=True)
class Surrounding:
    """One surrounding of a run.

    Attributes:
        name: of the test.
        shell: runs the program.
        environment: variables to set, or to remove with None.
        folder: name of the working directory.
        codes: exit codes that keep the promise.
        unseen: whether nobody sees stderr.
        needs: a command that fails where this surrounding cannot be made.
        settings: of the run, besides those of all.
    """

    name: str
    shell: str = '"$@"'
    environment: dict[str, str | None] = field(default_factory=dict)
    folder: str = "project"
    codes: tuple[int, ...] = (0,)
    unseen: bool = False
    needs: str = "true"
    settings: tuple[str, ...] = ()


def surroundings() -> list[Surrounding]:
    """Returns all surroundings."""
    kinds = (
        _proxies,
        _folders,
        _pythons,
        _variables,
        _terminals,
        _streams,
        _limits,
        _signals,
        _users,
        _temporary,
        _moves,
    )
    return [surrounding for kind in kinds for surrounding in kind()]


def _proxies() -> Iterator[Surrounding]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
        for variable in (name, name.upper()):
            yield Surrounding(f"{variable} dead", environment={variable: _DEAD}, settings=_SEARCH)
    yield Surrounding("http_proxy no address", environment={"http_proxy": "proxy without scheme"}, settings=_SEARCH)
    yield Surrounding("no_proxy *", environment={"http_proxy": _DEAD, "no_proxy": "*"}, settings=_SEARCH)
    yield Surrounding(
        "no network",
        'unshare -n sh -c \'ip link set lo up && exec "$@"\' - "$@"',
        needs="unshare -n ip link set lo up",
        settings=_SEARCH,
    )
    yield Surrounding(
        "host name that nothing resolves",
        'unshare -u sh -c \'hostname no-such-host.invalid && exec "$@"\' - "$@"',
        needs="unshare -u hostname x",
        settings=_SEARCH,
    )


def _folders() -> Iterator[Surrounding]:
    """Yields names with all printable ASCII characters that are neither letters nor digits, and a few others."""
    marks = "".join(chr(code) for code in range(32, 127) if not chr(code).isalnum() and chr(code) not in "/-_.")
    names = [f"a{marks[start : start + 4]}b" for start in range(0, len(marks), 4)]
    decomposed = unicodedata.normalize("NFD", "é")
    for name in [*names, *(f"a{mark}b" for mark in ("é数😀", decomposed, "\u00a0\u202e", "\n", "\x1b", "\udcff"))]:
        yield Surrounding(f"folder {ascii(name)[1:-1]}", folder=name, codes=(0, 2))
    for name in ("-x", "~", "~root", "$HOME", "a b  c ", "proj [2024]", "x" * 200, "%(asctime)s{0}"):
        yield Surrounding(f"folder {name[:16]}", folder=name, codes=(0, 2))


def _pythons() -> Iterator[Surrounding]:
    chosen = {
        "PYTHONDEVMODE": ["1"],
        "PYTHONDONTWRITEBYTECODE": ["1"],
        "PYTHONHASHSEED": ["0", "4294967295"],
        "PYTHONIOENCODING": ["ascii", "utf-16"],
        "PYTHONMALLOC": ["debug"],
        "PYTHONNOUSERSITE": ["1"],
        "PYTHONOPTIMIZE": ["1", "2"],
        "PYTHONSAFEPATH": ["1"],
        "PYTHONUNBUFFERED": ["1"],
        "PYTHONUTF8": ["0", "1"],
        "PYTHONWARNINGS": ["error", "default"],
    }
    for name, values in chosen.items():
        for value in values:
            yield Surrounding(f"{name}={value}", environment={name: value})
    shadow = "for name in {}; do mkdir $HERE/$name; echo 'raise SystemExit(9)' > $HERE/$name/__init__.py; done; "
    for modules in ("pipeline components tuner shiftvit charts", "numpy tensorflow rich", "random json tempfile"):
        yield Surrounding(f"PYTHONPATH with {modules}", f'{shadow.format(modules)} PYTHONPATH=$HERE "$@"')
    modules = "pipeline components tuner json"
    yield Surrounding(f"PYTHONPATH=. with {modules}", f'{shadow.format(modules)} cd $HERE; PYTHONPATH=. "$@"')


def _variables() -> Iterator[Surrounding]:
    yield Surrounding("env -i", 'env -i "$@"')
    yield Surrounding("PATH empty", 'PATH= exec "$@"')
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    yield Surrounding("LC_ALL=C and nothing else", environment=ascii_only)
    yield Surrounding("LC_ALL=C in a folder ü", environment=ascii_only, folder="ü", codes=(0, 2))
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "XDG_CACHE_HOME", "KERAS_HOME"):
        yield Surrounding(f"{variable} absent", environment={variable: "/proc/absent/file"})
    for variable, value in (
        ("LANG", "garbage"),
        ("TZ", "garbage"),
        ("TZ", "Pacific/Kiritimati"),
        ("CUDA_VISIBLE_DEVICES", "garbage"),
        ("OMP_NUM_THREADS", "0"),
        ("KERAS_BACKEND", "torch"),
        ("TF_USE_LEGACY_KERAS", "0"),
        ("TF_CPP_MIN_LOG_LEVEL", "0"),
        ("MPLBACKEND", "garbage"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/proc/absent"),
        ("KERASTUNER_TUNER_ID", "chief"),
    ):
        yield Surrounding(f"{variable}={value}", environment={variable: value})
    yield Surrounding("TF_CONFIG=garbage", environment={"TF_CONFIG": "garbage"}, codes=(0, 2))


def _terminals() -> Iterator[Surrounding]:
    terminal = 'script -qec "$(printf "%q " "$@")" /dev/null'
    for name, value in (("TERM", "dumb"), ("TERM", None), ("COLUMNS", "1"), ("NO_COLOR", "1"), ("LINES", "1")):
        label = "no TERM" if value is None else f"{name}={value}"
        yield Surrounding(f"terminal, {label}", terminal, {name: value}, needs="command -v script")
    yield Surrounding("FORCE_COLOR into a pipe", environment={"FORCE_COLOR": "1"})


def _streams() -> Iterator[Surrounding]:
    for redirections, codes in (
        ("<&-", (0,)),
        (">&-", (0,)),
        ("2>&-", (0,)),
        ("<&- >&- 2>&-", (0,)),
        (">/dev/full", (1,)),
        ("2>/dev/full", (0,)),
        (">/dev/full 2>&1", (1,)),
    ):
        yield Surrounding(f"streams {redirections}", f'"$@" {redirections}', codes=codes, unseen="2>" in redirections)
    yield Surrounding("stdout into a closed pipe", 'set -o pipefail; "$@" | true')
    yield Surrounding("stderr into a closed pipe", 'set -o pipefail; { "$@" 2>&1 >&3 | true; } 3>&1')


def _limits() -> Iterator[Surrounding]:
    yield Surrounding("64 open files, which may be more", 'ulimit -Sn 64; "$@"')
    yield Surrounding("64 open files", 'ulimit -n 64; "$@"', codes=(2,))
    yield Surrounding("256 open files", 'ulimit -n 256; "$@"')
    yield Surrounding("files of at most 100 KB", 'ulimit -f 100; "$@"', codes=(0, 1))
    yield Surrounding("memory of 1 GB", 'ulimit -v 1000000; "$@"', codes=(0, 1))
    for mask in ("000", "077", "027"):
        yield Surrounding(f"umask {mask}", f'umask {mask}; "$@"')
    yield Surrounding("working directory removed", 'mkdir gone; cd gone; rmdir ../gone; "$@"', codes=(2,))


def _signals() -> Iterator[Surrounding]:
    for name in ("CHLD", "PIPE", "HUP", "INT", "TERM"):
        ignore = f"env --ignore-signal={name}"
        yield Surrounding(f"SIG{name} ignored", f'{ignore} "$@"', needs=f"{ignore} true")
    block = "env --block-signal=CHLD --block-signal=TERM"
    yield Surrounding("signals blocked", f'{block} "$@"', needs=f"{block} true")
    yield Surrounding("nohup", 'nohup "$@"')
    for name in ("INT", "TERM", "HUP"):
        stopped = f'timeout --preserve-status --signal={name} 20 "$@"'
        yield Surrounding(f"SIG{name} after 20 seconds", stopped, codes=(0, 130))
    for first, second in (("TERM", "TERM"), ("HUP", "TERM")):
        twice = f'"$@" & sleep 20; kill -{first} $!; sleep 0.1; kill -{second} $!; wait $!'
        yield Surrounding(f"SIG{first} after 20 seconds, then SIG{second}", twice, codes=(0, 130))
    yield Surrounding("setsid", 'setsid -w "$@"', needs="setsid -w true")


def _users() -> Iterator[Surrounding]:
    possible = f"{_NOBODY} true"
    for label, home in (
        ("no HOME", "env -u HOME"),
        ("HOME empty", "env HOME="),
        ("HOME absent", "env HOME=/proc/absent"),
        ("HOME a file", "env HOME=/etc/hostname"),
        ("HOME read-only", "env HOME=$HERE"),
    ):
        yield Surrounding(f"no such user, {label}", f'chmod 555 $HERE; {_NOBODY} {home} "$@"', needs=possible)
    yield Surrounding("folder read-only", f'chmod 555 .; {_NOBODY} "$@"', codes=(2,), needs=possible)


def _temporary() -> Iterator[Surrounding]:
    yield Surrounding("TMPDIR absent", environment={"TMPDIR": "/proc/absent"})
    yield Surrounding("TMPDIR a file", environment={"TMPDIR": "/etc/hostname"})
    yield Surrounding("TMPDIR relative", 'mkdir $HERE/t; cd $HERE; TMPDIR=t "$@"')
    yield Surrounding("TMPDIR on another file system", environment={"TMPDIR": "/dev/shm"}, needs="test -w /dev/shm")
    possible = "unshare -m mount -t tmpfs tmpfs /mnt"
    for label, size, used in (("full", "16k", 99_999), ("of 200 KB", "200k", 0)):
        fill = f"mount -t tmpfs -o size={size} tmpfs $HERE; head -c {used} /dev/zero > $HERE/x 2>&1; "
        shell = f'TMPDIR=$HERE unshare -m sh -c \'{fill} exec "$@"\' - "$@"'
        yield Surrounding(f"TMPDIR {label}", shell, needs=possible, codes=(0, 1))


def _moves() -> Iterator[Surrounding]:
    """Yields workspaces that are not where their first run was."""
    for command in ("mv", "cp -r"):
        yield Surrounding(f"workspace after {command}", f'"$@" --workspace $HERE/v && {command} $HERE/v w && "$@"')
    yield Surrounding("workspace behind a link", 'mkdir $HERE/v; ln -s $HERE/v w; "$@"')
    elsewhere = 'mkdir -p /dev/shm/${HERE//\\//_}; ln -s /dev/shm/${HERE//\\//_} w; "$@"; code=$?; '
    yield Surrounding(
        "workspace on another file system",
        elsewhere + "rm w; mv /dev/shm/${HERE//\\//_} w; exit $code",
        needs="test -w /dev/shm",
    )
