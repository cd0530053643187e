"""Temporal heads: small networks over the frame embeddings of a video, for a frozen model.

Source: Luo et al. 2021, CLIP4Clip (arXiv 2104.08860), §3.3.
"""
