"""Nothing invalid is proposed: findings of validators, and which of them an edit introduces."""
