"""A folder of plain files with a history that no crash can break."""

# names      what an item may be called, and where its files lie
# ledger     the one append-only file: lines, their check, reading and appending
# fold       what the names mean at a line of the ledger
# payloads   files that are written once, and how their bytes are checked
# kinds/     how a value becomes a payload and comes back: one module for each kind
# views      the plain files that people see
# commit     the protocol by which a transaction becomes a line
# items      what a reader is told about an item
# store      the class Store
