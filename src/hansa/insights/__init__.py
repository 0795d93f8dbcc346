"""Insights: open and shared data, read through the other rooms' doors. Nothing stands here yet."""
