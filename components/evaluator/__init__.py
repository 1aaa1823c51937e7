"""The quality gate on the test split: metrics, thresholds, and the reasons for a refusal."""
