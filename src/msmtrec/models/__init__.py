"""Client networks: pure functions of a mapping name -> tensor, with a leading axis K of members trained together."""
