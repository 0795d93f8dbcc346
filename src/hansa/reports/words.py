"""The words of statements and invoices, in English and Chinese. Pure."""

from typing import Literal

Language = Literal["en", "zh"]

LANGUAGES: tuple[Language, ...] = ("en", "zh")

_CHINESE = {
    "Member statement": "会员对账单",
    "Invoice": "发票",
    "Credit note": "红字发票",
    "Hansa league, clearing house": "汉萨联盟清算所",
    "Business day": "营业日",
    "Member": "会员",
    "Ended": "截止时间",
    "Closed": "关账时间",
    "Settles as": "清算归属",
    "Opening balance": "期初余额",
    "left unsettled by earlier days": "以前营业日未结算",
    "Net of the day": "本日净额",
    "Paid by the bank": "银行已划付",
    "Closing balance": "期末余额",
    "to receive": "应收",
    "to pay": "应付",
    "Items": "清算项目",
    "Adjustments": "调整",
    "Fees": "手续费",
    "Payments": "银行划付",
    "Counterparty": "对方",
    "Position": "头寸",
    "Kind": "类别",
    "Count": "笔数",
    "Amount": "金额",
    "Sum": "合计",
    "fare": "票款",
    "correction": "票款更正",
    "refund": "退款",
    "subsidy": "补贴",
    "chargeback": "拒付",
    "payment": "支付",
    "purchase": "消费",
    "transfer": "个人转账",
    "purchase refund": "消费退款",
    "issuer fee": "发卡方手续费",
    "league fee": "联盟手续费",
    "paid in": "划入联盟账户",
    "paid out": "划出给会员",
    "page": "页",
    "of": "共",
    "Nothing moved on this day, and nothing is open.": "本日无业务，亦无未结余额。",
    "No lines.": "无。",
    "Above zero: the member receives. Below zero: it pays.": "正数：会员应收；负数：会员应付。",
    "This member clears as another: its figures are a part of that one's net.": (
        "该会员由上级会员代为清算，其金额计入后者净额。"
    ),
    "Adds to the net": "计入净额",
    "Seller": "销售方",
    "Buyer": "购买方",
    "Invoice number": "发票号码",
    "Issue date": "开票日期",
    "Due date": "付款期限",
    "Period": "期间",
    "Corrects": "更正发票",
    "Description": "项目",
    "Quantity": "数量",
    "Net": "不含税金额",
    "Tax": "税额",
    "Category": "税类",
    "Rate": "税率",
    "Taxable": "计税金额",
    "Total without tax": "不含税合计",
    "Total tax": "税额合计",
    "Total with tax": "价税合计",
    "Already settled": "已结算",
    "Amount due": "应付金额",
    "Tax number": "税号",
    "Settled through the league's clearing; nothing is to be paid.": "已通过联盟清算结清，无需另行支付。",
}


def say(words: str, language: Language) -> str:
    """These words in a language; as they are where it has none."""
    return _CHINESE.get(words, words) if language == "zh" else words
