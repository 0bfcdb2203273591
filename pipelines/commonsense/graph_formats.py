"""A graph as JSON Lines, TSV, N-Triples and GraphML: triples in one after the other, lines out.

N-Triples and GraphML are written here, because rdflib and networkx hold a whole graph in memory to write it; tests read
both back with these libraries.

- JSON Lines: the fields of ATOMIC10X (West et al., arXiv 2110.07178), without those that are not known.
- TSV: head, relation, tail, as ATOMIC-2020 has them; a field with a tab, a line end or a quote is quoted as in CSV.
- N-Triples: nodes are IRIs that hold their text percent-encoded, labelled with it. Probabilities have no place in it.
- GraphML: a directed graph, its nodes named by a digest of their text; an edge for each triple, with all that is known.
"""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, TextIO
from urllib.parse import quote
from xml.sax.saxutils import escape

from pipelines.commonsense.records import Triple

_LABEL: Final = "<http://www.w3.org/2000/01/rdf-schema#label>"
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}
_HEADER: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    '<key id="text" for="node" attr.name="text" attr.type="string"/>\n'
)
_FOOTER: Final = "</graph>\n</graphml>\n"
_TYPES: Final = {str: "string", float: "double", bool: "boolean"}


def atomic(triple: Triple) -> dict[str, Any]:
    """A triple as ATOMIC10X has it."""
    told = {"head": triple.head, "relation": triple.relation, "tail": triple.tail, "split": triple.split}
    return {**told, **_judgement(triple)}


def _judgement(triple: Triple) -> dict[str, float | bool]:
    recalls = {
        "rec_0.5": triple.rec_05,
        "rec_0.6": triple.rec_06,
        "rec_0.7": triple.rec_07,
        "rec_0.8": triple.rec_08,
        "rec_0.9": triple.rec_09,
    }
    return {name: told for name, told in {**recalls, "p_valid_model": triple.p_valid}.items() if told is not None}


def json_line(row: Mapping[str, Any]) -> str:
    """A row of JSON Lines."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def _write_json(triples: Iterable[Triple], file: TextIO) -> int:
    return _counted(triples, file, lambda triple: json_line(atomic(triple)))


def _write_tsv(triples: Iterable[Triple], file: TextIO) -> int:
    rows = 0
    writer = csv.writer(file, "excel-tab", lineterminator="\n")
    for rows, triple in enumerate(triples, 1):  # noqa: B007 - the count
        writer.writerow((triple.head, triple.relation, triple.tail))
    return rows


def _write_ntriples(triples: Iterable[Triple], file: TextIO) -> int:
    head = ""

    def lines(triple: Triple) -> str:
        nonlocal head
        subject, node = _iri("node", triple.head), _iri("node", triple.tail)
        labels = _labelled(node, triple.tail) + ("" if head == triple.head else _labelled(subject, triple.head))
        head = triple.head
        return f"{labels}{subject} {_iri('relation', triple.relation)} {node} .\n"

    return _counted(triples, file, lines)


def _labelled(node: str, text: str) -> str:
    literal = "".join(_ESCAPES.get(character, character) for character in text)
    return f'{node} {_LABEL} "{literal}" .\n'


def _iri(kind: str, text: str) -> str:
    return f"<urn:potstill:{kind}:{quote(text, safe='')}>"


def _write_graphml(triples: Iterable[Triple], file: TextIO) -> int:
    named: set[bytes] = set()

    def elements(triple: Triple) -> str:
        ends = [(hashlib.blake2b(text.encode(), digest_size=12), text) for text in (triple.head, triple.tail)]
        nodes = ""
        for key, text in ends:
            if key.digest() not in named:
                named.add(key.digest())
                nodes += f'<node id="{key.hexdigest()}">{_data({"text": text})}</node>\n'
        source, target = (key.hexdigest() for key, _ in ends)
        return f'{nodes}<edge source="{source}" target="{target}">{_data(_edge(triple))}</edge>\n'

    file.write(_HEADER)
    file.writelines(_keys())
    file.write('<graph edgedefault="directed">\n')
    rows = _counted(triples, file, elements)
    file.write(_FOOTER)
    return rows


def _keys() -> Iterator[str]:
    texts, shares = ("id", "relation", "split", "teacher"), ("p_valid_model",)
    flags = (f"rec_0.{tenths}" for tenths in range(5, 10))
    kinds = chain(((name, str) for name in texts), ((name, float) for name in shares), ((name, bool) for name in flags))
    for name, kind in kinds:
        yield f'<key id="{name}" for="edge" attr.name="{name}" attr.type="{_TYPES[kind]}"/>\n'


def _edge(triple: Triple) -> dict[str, Any]:
    told = {"id": triple.id, "relation": triple.relation, "split": triple.split, "teacher": triple.teacher}
    return {**told, **_judgement(triple)}


def _data(values: Mapping[str, Any]) -> str:
    return "".join(f'<data key="{key}">{_xml(value)}</data>' for key, value in values.items())


def _xml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = _NO_XML.sub("\N{REPLACEMENT CHARACTER}", str(value))  # XML cannot hold other control characters at all
    return escape(text, {"\r": "&#13;"})


def _counted(triples: Iterable[Triple], file: TextIO, lines: Callable[[Triple], str]) -> int:
    rows = 0
    for rows, triple in enumerate(triples, 1):  # noqa: B007 - the count
        file.write(lines(triple))
    return rows


WRITERS: Final[Mapping[str, Callable[[Iterable[Triple], TextIO], int]]] = {
    "jsonl": _write_json,
    "tsv": _write_tsv,
    "ntriples": _write_ntriples,
    "graphml": _write_graphml,
}
