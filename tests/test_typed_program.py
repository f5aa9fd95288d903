"""A program as a user annotates it. It runs here; in CI mypy --strict reads it, and no expression of it may be Any."""

from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

from ataraxis_data_structures import (
    DataLogger,
    LoggerStatistics,
    LogQueue,
    ProducerStatistics,
    Recovery,
    SourceStatistics,
    logger_statistics,
    recover_log_directory,
)


def state_of(queue: LogQueue) -> str:
    """Return what a producer may ask its queue."""
    assert_type(queue, LogQueue)
    assert_type(queue.empty(), bool)
    assert_type(queue.full(), bool)
    assert_type(queue.qsize(), int)
    assert_type(queue.state, str)
    assert_type(queue.removable, bool)
    assert_type(queue.directory, Path | None)
    return queue.state


def behind(statistics: LoggerStatistics) -> Iterator[tuple[int, int]]:
    """Yield (source, messages that a power cut would lose)."""
    assert_type(statistics.state, str)
    assert_type(statistics.pid, int)
    assert_type(statistics.restarts, int)
    assert_type(statistics.lag_s, float)
    assert_type(statistics.sources, dict[int, SourceStatistics])
    assert_type(statistics.producers, list[ProducerStatistics])
    for source, counts in statistics.sources.items():
        assert_type(counts.accepted, int)
        assert_type(counts.dropped, int)
        yield source, counts.accepted - counts.synced
    for producer in statistics.producers:
        assert_type(producer.pid, int)
        assert_type(producer.blocked_s, float)


def losses(recovery: Recovery) -> int:
    """Return how many messages are known to be lost."""
    assert_type(recovery.whole, bool)
    assert_type(recovery.salvaged, dict[int, int])
    assert_type(recovery.recovered, dict[int, int])
    assert_type(recovery.lost, dict[int, int])
    assert_type(recovery.dropped, dict[int, int])
    assert_type(recovery.expanded, int)
    assert_type(recovery.missing, int)
    assert_type(recovery.damaged_bytes, int)
    assert_type(recovery.missing_queues, tuple[str, ...])
    return sum(recovery.lost.values()) + recovery.missing


def test_the_annotated_program_runs(tmp_path: Path) -> None:
    with DataLogger(tmp_path, "typed") as logger:
        assert_type(logger, DataLogger)
        assert_type(logger.input_queue, LogQueue)
        assert_type(logger.output_directory, Path)
        assert_type(logger.alive, bool)
        assert_type(logger.statistics, LoggerStatistics)
        assert_type(logger_statistics(logger.name), LoggerStatistics)
        assert state_of(logger.input_queue) == "running"
        assert list(behind(logger.statistics)) == []
    assert_type(recover_log_directory(logger.output_directory), Recovery)
    assert losses(recover_log_directory(logger.output_directory)) == 0
