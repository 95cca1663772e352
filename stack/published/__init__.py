"""Collector configs and snippets that vendors publish, turned into fragments of ours."""
