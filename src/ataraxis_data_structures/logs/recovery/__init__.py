"""Completes what killed processes left: lanes into the journal, journals into files."""
