"""Tests of three running tiers and of the programs."""
