"""What people look at: tables, drawings and the evidence page. Reads results, computes none."""
