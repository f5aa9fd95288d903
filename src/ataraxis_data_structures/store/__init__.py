"""A folder of plain files with a history that no crash can break."""

# ledger/    the one append-only file: its lines, what names mean after them, how a transaction gets into it
# kinds/     how a value becomes a payload and comes back: one module for each kind
# upkeep/    what a store takes, whether it is whole, how it is brought back
# memo/      results of functions, computed once
# names      what an item may be called, and where its files lie
# payloads   files that are written once, and how their bytes are checked; grown: those of appended arrays
# views      the plain files that people see
# store      the class Store, with batch, queries and items, which is what it tells of an item
# programs   the verbs of Store for programs: memo, build, log, series, align; builds: items made once by a function
# rig/       logs whose sources become items, series on one clock
# directory/ the class Directory: arrays as attributes, configurations, builds; links: files that become items
# folio/     the class DataFolio, a face over Store
