"""Networks, data and training: the only place that knows Brevitas."""
