"""Experiments as folders of tables, arrays, models and notes, with what was made from what: a face over `Store`."""

from .folio import DataFolio as DataFolio
