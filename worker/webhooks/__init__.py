"""Sends the messages of `common.webhooks` to their receivers."""
