"""Requests whose path or query looks like an attack: a few well-known shapes, each by a name.

It is done here because here the query is whole: behind the collector's cleaning it is not, the
logs never have it, and `LOG_ROUTE=watchtower` passes no collector. Only the shape's name leaves
this module. A shape says that somebody tries, not that anything is wrong with the service.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus

# gunicorn refuses a longer request line, so nothing hides behind padding.
_LONGEST = 4094

# Each asks for the part that a person does not write by accident: "union select" alone is also
# the name of a committee, and "; curl" is what hair does.
# GAP is what may stand for a blank in SQL.
_ANYWHERE = {
    "sql_injection": r"""
        ['"]\s*\)*\s*(?:or|and)\s+[\s(]{0,9}
          (?:['"]\w*['"]?\s*(?:[=<>]|like\s*['"%])|\d+\s*[=<>]|\w+\s*=\s*['"])
        | \bunion GAP (?:(?:all|distinct) GAP )?select(?: GAP )?
          (?:null\b|\d|@@|['"(*]|(?:char|concat|group_concat|version)\s*\()
        | ;\s*(?:drop|truncate|alter)\s+(?:table|database)\b
        | ;\s*(?:delete\s+from|insert\s+into|exec(?:ute)?\s+(?:xp_|sp_|master\.))
        | (?:['";,)=]|\b(?:or|and|select|if)\b)[\s(]{0,9}(?:pg_sleep|sleep|benchmark)\s*\(\s*\d
        | \bwaitfor\s+delay\s+['"]
        | \binformation_schema\s*\.\s*\w | \bxp_cmdshell\b | \binto\s+(?:out|dump)file\b
        | (?:extractvalue|updatexml|load_file)\s*\(
        | ['"]\s*\)*\s*(?:--\s*-?|\#|/\*)\s*(?:&|$)
    """,
    "path_traversal": r"""
        (?:^|[/\\=])\.\.[/\\]+\.\.(?:[/\\]|$)
        | /etc/(?:passwd|shadow|hosts)\b | /proc/self/ | \b(?:win|boot)\.ini\b | \x00
    """,
    "template_injection": r"""
        \{\{[^{}]{0,60}(?:\d\s*[*+-]\s*\d|__|\b(?:config|self|request)\b)[^{}]{0,60}\}\}
        | \$\{\s*(?:jndi|env|sys|lower|upper|script|base64)\s*: | \$\{\s*\d+\s*[*+-]\s*\d+\s*\}
        | \#\{\s*\d+\s*[*+-]\s*\d+\s*\} | <%=\s*\d | __(?:class|globals|import|subclasses)__
    """,
    "script_injection": r"""
        <\s*/?\s*script\b | <\s*\w+[^<>]{0,100}[\s/"']on[a-z]{3,20}\s*= | \bjavascript:[\w.]*\(
        | <\s*(?:iframe|object|embed)\b
    """,
    "command_injection": r"""
        (?:[;|&`\n]|\$\()[\t ]{0,9}(?:
            cat\s+/ | (?:wget|curl)\s[^;|&]{0,60}https?:// | (?:ba|da|z)?sh\s+-[ci]\b
            | (?:whoami|uname\s+-a|ifconfig)\b | ping\s+-[cn]\s | powershell\b | nc\s+-
        )
        | /bin/(?:ba|da|z)?sh\b | \bcmd(?:\.exe)?\s+/c\b
    """,
}
# What scanners ask every server for. None of it is here, nor a link to it.
_PATHS = {
    "path_traversal": r"(?:^|[/\\])\.\.(?:[/\\]|$)",
    "scanner": r"""
        /\.(?:env|git|svn|hg|aws|ssh|docker|kube|vscode|idea|htaccess|htpasswd|npmrc|ds_store)\b
        | /(?:wp-(?:admin|login|content|includes|config|json)|xmlrpc|phpmyadmin|phpunit|cgi-bin
            |server-status|actuator|solr|hnap1|boaform|owa|_ignition|telescope)\b
        | \.(?:php\d?|phtml|aspx?|jspx?|cgi|bak|sql|old|swp)(?:/|$)
    """,
}


# Python tries a run at each length, and two runs side by side at each split: 4000 blanks behind a
# quote took 1.3 s. Nobody needs more than these.
_BOUNDED = {
    "GAP": r"(?:\s|/\*[^*]{0,20}\*/){1,9}",
    r"\s*": r"\s{0,9}",
    r"\s+": r"\s{1,9}",
    r"\d+": r"\d{1,9}",
    r"\w*": r"\w{0,30}",
    r"\w+": r"\w{1,30}",
    r"\)*": r"\){0,9}",
}


def _alternatives(shapes: dict[str, str]) -> re.Pattern[str]:
    whole = "|".join(f"(?P<{name}>{pattern})" for name, pattern in shapes.items())
    for run, bounded in _BOUNDED.items():
        whole = whole.replace(run, bounded)
    return re.compile(whole, re.VERBOSE | re.IGNORECASE)


_IN_EITHER = _alternatives(_ANYWHERE)
_IN_PATH = _alternatives(_PATHS)
# No shape in a query does without one of these; most queries have none, and are done.
_TELLING = re.compile(r"""['"<{;|`$\\/\0#(&]|\.\.|__|\bunion\b|:""", re.IGNORECASE)
SHAPES = frozenset(_ANYWHERE) | frozenset(_PATHS)


def shape(path: str, query: str) -> str | None:
    """The shape that a request has, None for one that looks like nothing.

    `path`: decoded once, as a WSGI server hands it on. `query`: as it was sent.
    """
    found = _IN_PATH.search(path[:_LONGEST]) or _IN_EITHER.search(unquote(path[:_LONGEST]))
    if found is None and query:
        # What is encoded twice is meant for whoever decodes twice.
        plain = unquote(unquote_plus(query[:_LONGEST]))
        if _TELLING.search(plain):
            found = _IN_EITHER.search(plain)
    return found.lastgroup if found else None
