"""Gut short-chain-fatty-acid potential from metagenome reads."""
