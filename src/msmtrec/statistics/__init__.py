"""What training rows say of the values of id fields: counts and label sums, what is read from them, a linear head."""
