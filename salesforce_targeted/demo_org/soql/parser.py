"""SOQL from text to a :class:`Query`; knows the grammar, nothing of objects and rows.

Rules:
- AND and OR mix only with parentheses; a date stands without quotes, a string with single ones.
- What the demo org does not model (TYPEOF, child subqueries) is refused by name.

Source: SOQL and SOSL Reference, "SOQL SELECT Syntax".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from salesforce_targeted.demo_org.refusals import malformed

MAX_CHARACTERS = 100_000
MAX_STRING = 4_000
FUNCTIONS = frozenset({"COUNT", "COUNT_DISTINCT", "MIN", "MAX", "SUM", "AVG"})

_TOKENS = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    | (?P<date>\d{4}-\d\d-\d\d)
    | (?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<word>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    | (?P<mark><=|>=|!=|<>|[=<>(),:])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}


@dataclass(frozen=True)
class Literal:
    """A value in a condition: kind is string, datetime, date, number, boolean, null or range."""

    kind: str
    value: Any


@dataclass(frozen=True)
class Aggregate:
    """``COUNT(Id) alias``; path is empty for ``COUNT()``."""

    function: str
    path: str
    alias: str | None = None


@dataclass(frozen=True)
class Comparison:
    """``path operator literal``; operator in capitals."""

    subject: str | Aggregate
    operator: str
    literal: Literal


@dataclass(frozen=True)
class Membership:
    """``path IN (…)`` and its kin: NOT IN, INCLUDES, EXCLUDES."""

    path: str
    operator: str
    literals: tuple[Literal, ...]


@dataclass(frozen=True)
class SemiJoin:
    """``path IN (SELECT … FROM entity …)``."""

    path: str
    inner: Query


@dataclass(frozen=True)
class Junction:
    """AND, OR or NOT of conditions."""

    operator: str
    parts: tuple[Condition, ...]


Condition = Comparison | Membership | SemiJoin | Junction


@dataclass(frozen=True)
class Order:
    """One ORDER BY term."""

    subject: str | Aggregate
    descending: bool
    nulls_last: bool


@dataclass
class Query:
    """One parsed statement."""

    select: list[str | Aggregate] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)  # alias of a grouped field by path
    fields_group: str | None = None  # ALL, CUSTOM or STANDARD for FIELDS(…)
    entity: str = ""
    where: Condition | None = None
    group_by: list[str] = field(default_factory=list)
    having: Condition | None = None
    order_by: list[Order] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0

    @property
    def aggregates(self) -> list[Aggregate]:
        """Return the aggregate functions of the SELECT list."""
        return [item for item in self.select if isinstance(item, Aggregate)]

    @property
    def counts_all(self) -> bool:
        """Return whether this is ``SELECT COUNT() FROM …``."""
        return self.select == [Aggregate("COUNT", "")]


def parse(text: str) -> Query:
    """Read one statement.

    Raises:
        Refused: 400 MALFORMED_QUERY, with the words that Salesforce uses.
    """
    if len(text) > MAX_CHARACTERS:
        raise malformed(f"SOQL statements cannot be longer than {MAX_CHARACTERS} characters.")
    return _Parser(text).statement()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKENS.match(text, at)
            if match is None:
                at += len(text[at:]) - len(text[at:].lstrip())
                raise self._context(at, f"unexpected token: '{text[at]}'")
            kind = match.lastgroup or ""
            self.tokens.append((kind, match[kind], match.start(kind)))
            at = match.end()
        self.at = 0

    # ---------------------------------------------------------------- reading tokens
    def _context(self, at: int, reason: str) -> Exception:
        line = self.text[max(0, at - 40) : at + 20].replace("\n", " ")
        caret = " " * min(at, 40) + "^"
        return malformed(f"\n{line}\n{caret}\nERROR at Row:1:Column:{at + 1}\n{reason}")

    def _unexpected(self) -> Exception:
        if self.at >= len(self.tokens):
            return malformed("unexpected token: '<EOF>'")
        _, token, at = self.tokens[self.at]
        return self._context(at, f"unexpected token: '{token}'")

    def _word(self) -> str:
        """Return the next token in capitals if it is a word or a mark, else an empty text."""
        if self.at < len(self.tokens) and self.tokens[self.at][0] in ("word", "mark"):
            return self.tokens[self.at][1].upper()
        return ""

    def _accept(self, *words: str) -> bool:
        for step, word in enumerate(words):
            at = self.at + step
            if at >= len(self.tokens) or self.tokens[at][1].upper() != word:
                return False
        self.at += len(words)
        return True

    def _expect(self, *words: str) -> None:
        if not self._accept(*words):
            raise self._unexpected()

    def _take(self, kind: str) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != kind:
            raise self._unexpected()
        self.at += 1
        return self.tokens[self.at - 1][1]

    # ---------------------------------------------------------------- clauses
    def statement(self) -> Query:
        query = self.query()
        if self.at < len(self.tokens):
            raise self._unexpected()
        return query

    def query(self) -> Query:
        self._expect("SELECT")
        query = Query()
        self._select_list(query)
        self._expect("FROM")
        query.entity = self._take("word")
        if self._word() not in ("", "WHERE", "GROUP", "ORDER", "LIMIT", "OFFSET", ")", "USING",
                                "WITH", "FOR", "ALL", ","):  # fmt: skip
            self._take("word")  # an alias of the object
        if self._accept("USING", "SCOPE"):
            self._take("word")
        if self._accept("WHERE"):
            query.where = self._condition()
        if self._accept("GROUP", "BY"):
            query.group_by = self._paths()
            if self._accept("HAVING"):
                query.having = self._condition()
        elif query.aliases:  # SELECT DISTINCT Id is read as a field with an alias
            raise malformed(f"unexpected token: '{next(iter(query.aliases.values()))}'")
        if self._accept("ORDER", "BY"):
            query.order_by.append(self._order())
            while self._accept(","):
                query.order_by.append(self._order())
        if self._accept("LIMIT"):
            query.limit = self._whole()
        if self._accept("OFFSET"):
            query.offset = self._whole()
        return query

    def _whole(self) -> int:
        text = self._take("number")
        if not text.isdigit():
            self.at -= 1
            raise self._unexpected()
        return int(text)

    def _select_list(self, query: Query) -> None:
        while True:
            if self._word() == "(":
                raise self._context(self.tokens[self.at][2], "child subqueries are not modelled")
            if self._word() == "TYPEOF":
                raise self._context(self.tokens[self.at][2], "TYPEOF is not modelled")
            if self._accept("FIELDS", "("):
                query.fields_group = self._take("word").upper()
                self._expect(")")
            elif (call := self._call()) is not None:
                alias = self._alias()
                query.select.append(Aggregate(call.function, call.path, alias))
            else:
                path = self._take("word")
                query.select.append(path)
                following = self.tokens[self.at + 1][1:2] if self.at + 1 < len(self.tokens) else ()
                if following and following[0].upper() in (",", "FROM"):  # else "FRM" is a slip
                    alias = self._alias()
                    if alias is not None:
                        query.aliases[path] = alias
            if not self._accept(","):
                return

    def _alias(self) -> str | None:
        if self._word() and self._word() not in (",", "FROM", ")") and self.at < len(self.tokens):
            return self._take("word")
        return None

    def _call(self) -> Aggregate | None:
        word = self._word()
        following = self.tokens[self.at + 1][1] if self.at + 1 < len(self.tokens) else ""
        if following != "(" or not word or word == "(":
            return None
        if word not in FUNCTIONS:
            raise self._unexpected()
        self.at += 2
        path = "" if self._word() == ")" else self._take("word")
        self._expect(")")
        if not path and word != "COUNT":
            raise self._unexpected()
        return Aggregate(word, path)

    def _paths(self) -> list[str]:
        paths = [self._take("word")]
        while self._accept(","):
            paths.append(self._take("word"))
        return paths

    def _order(self) -> Order:
        subject = self._call() or self._take("word")
        descending = self._accept("DESC") or (self._accept("ASC") and False)
        nulls_last = False
        if self._accept("NULLS"):
            nulls_last = self._accept("LAST")
            if not nulls_last:
                self._expect("FIRST")
        return Order(subject, descending, nulls_last)

    # ---------------------------------------------------------------- conditions
    def _condition(self) -> Condition:
        parts = [self._negation()]
        joint = self._word()
        if joint not in ("AND", "OR"):
            return parts[0]
        while self._accept(joint):
            parts.append(self._negation())
        if self._word() in ("AND", "OR"):
            raise self._unexpected()
        return Junction(joint, tuple(parts))

    def _negation(self) -> Condition:
        if self._accept("NOT"):
            return Junction("NOT", (self._negation(),))
        if self._accept("("):
            inner = self._condition()
            self._expect(")")
            return inner
        return self._test()

    def _test(self) -> Condition:
        subject: str | Aggregate = self._call() or self._take("word")
        if self._accept("NOT", "IN"):
            return self._membership(subject, "NOT IN")
        for word in ("IN", "INCLUDES", "EXCLUDES"):
            if self._accept(word):
                return self._membership(subject, word)
        operator = self._word()
        if operator not in ("=", "!=", "<>", "<", "<=", ">", ">=", "LIKE"):
            raise self._unexpected()
        self.at += 1
        literal = self._literal()
        return Comparison(subject, "!=" if operator == "<>" else operator, literal)

    def _membership(self, subject: str | Aggregate, operator: str) -> Condition:
        if isinstance(subject, Aggregate):
            raise self._unexpected()
        self._expect("(")
        if self._word() == "SELECT":
            inner = self.query()
            self._expect(")")
            return SemiJoin(subject, inner)
        literals = [self._literal()]
        while self._accept(","):
            literals.append(self._literal())
        self._expect(")")
        return Membership(subject, operator, tuple(literals))

    def _literal(self) -> Literal:
        if self.at >= len(self.tokens):
            raise self._unexpected()
        kind, token, at = self.tokens[self.at]
        self.at += 1
        if kind == "string":
            return Literal("string", self._unescaped(token[1:-1], at))
        if kind == "number":
            return Literal("number", float(token) if re.search(r"[.eE]", token) else int(token))
        if kind in ("datetime", "date"):
            return Literal(kind, token)
        word = token.upper()
        if kind == "word" and word in ("TRUE", "FALSE", "NULL"):
            return Literal("null" if word == "NULL" else "boolean", word == "TRUE")
        if kind == "word" and re.fullmatch(r"[A-Z_]+", word):
            count = self._whole() if self._accept(":") else None
            return Literal("range", (word, count))
        self.at -= 1
        raise self._unexpected()

    def _unescaped(self, body: str, at: int) -> str:
        def plain(match: re.Match[str]) -> str:
            char = match[1]
            if char == "u" and match[2]:
                return chr(int(match[2], 16))
            if char.lower() not in _ESCAPES:
                raise self._context(at, f"Illegal character sequence '\\{char}' in string literal")
            return _ESCAPES[char.lower()]

        if len(body) > MAX_STRING:
            raise self._context(at, f"string literal longer than {MAX_STRING} characters")
        if "\\" not in body:
            return body
        return re.sub(
            r"\\(u(?=[0-9a-fA-F]{4})|.)((?<=u)[0-9a-fA-F]{4})?", plain, body, flags=re.DOTALL
        )
