"""What runs leave in a workspace: lineage, versions, results, predictions."""
