"""CPU quotas of control groups laid out as by systemd and containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipsearch.system.cpu import available_cores, cgroup_quota


def test_at_least_one_core_is_available() -> None:
    assert available_cores() >= 1


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/user/app\n", {"user/app/cpu.max": "max 100000", "user/cpu.max": "400000 100000"}, 4.0),
        ("0::/user/app\n", {"user/app/cpu.max": "50000 100000", "user/cpu.max": "400000 100000"}, 0.5),
        ("0::/../outside\n", {"cpu.max": "200000 100000"}, 2.0),
        ("4:cpu,cpuacct:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3.0),
        ("4:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, None),
        ("4:memory:/\n", {"memory/cpu.cfs_quota_us": "100000", "memory/cpu.cfs_period_us": "100000"}, None),
        ("0::/\n", {}, None),
        ("nonsense\n", {"cpu.max": "a b"}, None),
    ],
)
def test_the_quota_of_control_groups(
    membership: str, files: dict[str, str], expected: float | None, tmp_path: Path
) -> None:
    (tmp_path / "cgroup").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cgroup_quota(tmp_path / "cgroup", tmp_path / "fs") == expected


def test_a_system_without_control_groups_sets_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path / "none", tmp_path / "none") is None
