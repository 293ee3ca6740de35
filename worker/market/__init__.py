"""The bars on disk: reading and checking files, publishing panels, opening them.

Writing side: files -> `reading` -> `checks` -> `bars` -> `datafile` (Parquet) and `publish` (panels);
`versions` says which panels may go.
Reading side: `store`, which needs numpy alone and shares one copy between all processes of a machine.
"""
