"""``croissant.json``: the dataset's files and columns for machines, in Croissant 1.0 (MLCommons, JSON-LD)."""

import json
from collections.abc import Sequence
from typing import Any, Final

from pipelines.publishing.finished import Finished
from pipelines.publishing.records import File, Published
from pipelines.publishing.staging import Staged

NAME: Final = "croissant.json"

_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_PAPERS: Final = {
    "rationales": "https://arxiv.org/abs/2505.24850",
    "commonsense": "https://arxiv.org/abs/2110.07178",
    "strategies": "https://arxiv.org/abs/2408.07238",
}
_TYPES: Final = {"bool": "sc:Boolean", "int64": "sc:Integer", "int32": "sc:Integer", "double": "sc:Float"}
_MESSAGES: Final = "struct<role: string, content: string>"


def croissant(run: Finished, published: Published, staged: Sequence[Staged]) -> File:
    """The description of a release."""
    told = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": run.recipe.name,
        "description": f"Distilled by potstill {run.manifest['potstill']}, flow {run.recipe.flow}.",
        "license": published.licence,
        "url": published.url,
        "version": published.version,
        "citeAs": _PAPERS[run.recipe.flow],
        "keywords": ["potstill", "synthetic", "distillation"],
        "rai:dataCollection": "Written by language models: " + ", ".join(published.terms),
        "rai:personalSensitiveInformation": "Searched by form for secrets and personal data before it was published.",
        "distribution": _distribution(published, staged),
        "recordSet": [_records(one) for one in staged],
    }
    return File(NAME, (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())


def _distribution(published: Published, staged: Sequence[Staged]) -> list[dict[str, Any]]:
    """Every file; of a table in parts also the set of them, which must lie in something that has an address."""
    found = [_file(part) for one in staged for part in one.parts]
    sets = [_set(one) for one in staged if len(one.parts) > 1]
    return [*found, *([_repository(published)] if sets else []), *sets]


def _file(part: File) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": part.path,
        "name": part.path,
        "contentUrl": part.path,
        "encodingFormat": "application/x-parquet",
        "sha256": part.sha256,
    }


def _repository(published: Published) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": "repository",
        "name": "repository",
        "contentUrl": published.url,
        "encodingFormat": "git+https",
        "sha256": "https://github.com/mlcommons/croissant/issues/80",  # what the Hub writes: a repository has no hash
    }


def _set(one: Staged) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": _name(one),
        "name": _name(one),
        "containedIn": {"@id": "repository"},
        "encodingFormat": "application/x-parquet",
        "includes": f"{one.shelf.config}/{one.shelf.split}-*.parquet",
    }


def _records(one: Staged) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": f"{_name(one)}-rows",
        "name": f"{_name(one)}-rows",
        "description": f"{one.rows} rows",
        "key": {"@id": f"{_name(one)}-rows/id"},
        "field": [_field(one, column, kind) for column, kind in one.columns.items()],
    }


def _field(one: Staged, column: str, kind: str) -> dict[str, Any]:
    field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{_name(one)}-rows/{column}", "name": column}
    if _MESSAGES in kind:
        parts = [_part(one, column, name) for name in ("role", "content")]
        return {**field, "repeated": True, "subField": parts}
    listed = kind.startswith("list")
    found = next((found for name, found in _TYPES.items() if name in kind), "sc:Text")
    return {**field, "dataType": found, "source": _source(one, column), **({"repeated": True} if listed else {})}


def _part(one: Staged, column: str, name: str) -> dict[str, Any]:
    source = {**_source(one, column), "transform": {"jsonPath": name}}
    return {
        "@type": "cr:Field",
        "@id": f"{_name(one)}-rows/{column}/{name}",
        "name": name,
        "dataType": "sc:Text",
        "source": source,
    }


def _source(one: Staged, column: str) -> dict[str, Any]:
    place = {"fileSet": {"@id": _name(one)}} if len(one.parts) > 1 else {"fileObject": {"@id": one.parts[0].path}}
    return {**place, "extract": {"column": column}}


def _name(one: Staged) -> str:
    return f"{one.shelf.config}-{one.shelf.split}"
