"""From a file, archive or query to chunks of rows with a schema."""
