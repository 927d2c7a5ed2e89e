"""From feature tables to answers: samples, groups and people compared.

The stage after the feature tables. It reads what the workflow made, or the tables of other tools,
and knows nothing of reads. Each analysis takes a `Cohort` and says in an `Account` what it made,
what it left out, and why.
"""
