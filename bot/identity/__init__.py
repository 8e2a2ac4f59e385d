"""Proof of identity: what a shopper has proven, how often they may be wrong. It knows no dialogue."""

from bot.identity.guard import IdentityGuard
from bot.identity.levels import ProofLevel
from bot.identity.proofs import read_proof

__all__ = ["IdentityGuard", "ProofLevel", "read_proof"]
