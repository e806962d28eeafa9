"""The benches: how fast Entourage is, each figure beside a plain one that was measured in the same run."""
