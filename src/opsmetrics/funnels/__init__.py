"""Funnels: how many customers take the steps, one after the other, and where the others stay."""
