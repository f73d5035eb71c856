"""Tests of single modules, without running tiers. A module has its tests under the same folder and name."""
