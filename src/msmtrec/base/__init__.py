"""What every room stands on: the schema, roles, parameters, streams, settings and the sentences of errors."""
