"""Files: written whole or not at all, made by one process at a time, named when they are broken."""

from metarep_lib.storage.broken import file_fault, misfits, read_json, refusal
from metarep_lib.storage.digests import library_digest, sha256
from metarep_lib.storage.names import name_faults
from metarep_lib.storage.turns import alone
from metarep_lib.storage.whole import clear_leftovers, replace, write_bytes, write_text

__all__ = [
    "alone",
    "clear_leftovers",
    "file_fault",
    "library_digest",
    "misfits",
    "name_faults",
    "read_json",
    "refusal",
    "replace",
    "sha256",
    "write_bytes",
    "write_text",
]
