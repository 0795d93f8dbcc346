"""What hours and classes are called in Chinese, where a tariff calls them by the usual names."""

BANDS = {"peak": "高峰", "off-peak": "非高峰"}
CLASSES = {"adult": "成人", "child": "儿童", "senior": "长者", "student": "学生"}
