"""What a gate tells the rider, in the rider's language: every reason, and every way to go on."""

from collections.abc import Iterable
from typing import get_args

from hansa.gate.model import Action

LANGUAGES = ("en", "zh-Hans", "fr", "de", "es", "ja")
"""The languages there are texts for, by BCP 47."""

OUT_OF_ORDER = "out_of_order"
ACTIONS: tuple[Action, ...] = get_args(Action)

Words = tuple[tuple[str, str], ...]
"""Language and text: the rider's first, then the gate's own where that is another."""

_TEXTS: dict[str, tuple[str, ...]] = {
    "entry": ("Please enter", "请进", "Entrez", "Bitte eintreten", "Pase", "お通りください"),
    "exit": (
        "Thank you, goodbye",
        "谢谢，再见",
        "Merci, au revoir",
        "Danke, auf Wiedersehen",
        "Gracias, hasta pronto",
        "ありがとうございました",
    ),
    "board": (
        "Welcome aboard",
        "欢迎乘车",
        "Bienvenue à bord",
        "Bitte einsteigen",
        "Bienvenido a bordo",
        "ご乗車ください",
    ),
    "out_of_order": (
        "Out of order. Please use another gate.",
        "暂停使用，请走其他通道。",
        "Hors service. Prenez un autre passage.",
        "Außer Betrieb. Bitte einen anderen Durchgang nehmen.",
        "Fuera de servicio. Use otro paso.",
        "使用できません。ほかの改札をご利用ください。",
    ),
    "malformed": (
        "This is not a ride code.",
        "这不是乘车码。",
        "Ceci n'est pas un code de voyage.",
        "Das ist kein Fahrcode.",
        "Esto no es un código de viaje.",
        "乗車コードではありません。",
    ),
    "unknown_suite": (
        "This gate does not know this code. Please use another gate.",
        "本闸机不识别此码，请走其他通道。",
        "Ce code est inconnu ici. Prenez un autre passage.",
        "Dieser Code ist hier unbekannt. Bitte einen anderen Durchgang nehmen.",
        "Este paso no conoce este código. Use otro paso.",
        "このコードには対応していません。ほかの改札をご利用ください。",
    ),
    "not_canonical": (
        "This code cannot be accepted.",
        "无法接受此码。",
        "Ce code ne peut pas être accepté.",
        "Dieser Code kann nicht angenommen werden.",
        "No se puede aceptar este código.",
        "このコードは使用できません。",
    ),
    "wrong_header": (
        "This code cannot be accepted.",
        "无法接受此码。",
        "Ce code ne peut pas être accepté.",
        "Dieser Code kann nicht angenommen werden.",
        "No se puede aceptar este código.",
        "このコードは使用できません。",
    ),
    "wrong_length": (
        "This code is incomplete. Show it again.",
        "此码不完整，请重新出示。",
        "Code incomplet. Présentez-le de nouveau.",
        "Der Code ist unvollständig. Bitte noch einmal zeigen.",
        "El código está incompleto. Muéstrelo otra vez.",
        "コードが不完全です。もう一度かざしてください。",
    ),
    "untrusted_issuer": (
        "This card is not accepted here.",
        "此卡不能在此使用。",
        "Cette carte n'est pas acceptée ici.",
        "Diese Karte gilt hier nicht.",
        "Esta tarjeta no se acepta aquí.",
        "このカードはご利用いただけません。",
    ),
    "issuer_outside_dates": (
        "This card is not valid now.",
        "此卡现在无效。",
        "Cette carte n'est pas valable en ce moment.",
        "Diese Karte gilt zurzeit nicht.",
        "Esta tarjeta no es válida ahora.",
        "このカードは現在ご利用いただけません。",
    ),
    "product_not_allowed": (
        "This card is not for this kind of ride.",
        "此卡不适用于本线路。",
        "Cette carte ne vaut pas pour ce trajet.",
        "Diese Karte gilt nicht für diese Fahrt.",
        "Esta tarjeta no sirve para este viaje.",
        "このカードではこの乗り物をご利用いただけません。",
    ),
    "bad_token_signature": (
        "This card is not genuine.",
        "此卡无法验证。",
        "Carte non authentique.",
        "Diese Karte ist nicht echt.",
        "Esta tarjeta no es auténtica.",
        "このカードは確認できません。",
    ),
    "token_not_yet_valid": (
        "This pass is for a later time.",
        "此乘车凭证尚未生效。",
        "Ce titre n'est pas encore valable.",
        "Dieser Ausweis gilt noch nicht.",
        "Este pase aún no es válido.",
        "この乗車証はまだ有効ではありません。",
    ),
    "token_expired": (
        "This pass has ended. Connect your phone once.",
        "乘车凭证已过期，请将手机联网一次。",
        "Titre expiré. Connectez une fois votre téléphone.",
        "Ausweis abgelaufen. Bitte das Telefon einmal verbinden.",
        "El pase ha caducado. Conecte su teléfono una vez.",
        "乗車証の期限が切れました。スマートフォンを一度接続してください。",
    ),
    "bad_code_signature": (
        "This code is not from this card's phone.",
        "此码不是由绑定的手机生成的。",
        "Ce code ne vient pas du téléphone de la carte.",
        "Dieser Code ist nicht vom Telefon der Karte.",
        "Este código no es del teléfono de la tarjeta.",
        "このコードは登録された端末のものではありません。",
    ),
    "high_s": (
        "This code was altered. Show your own.",
        "此码被改动过，请出示本人的码。",
        "Ce code a été modifié. Présentez le vôtre.",
        "Dieser Code wurde verändert. Bitte den eigenen zeigen.",
        "Este código fue alterado. Muestre el suyo.",
        "コードが変更されています。ご自身のコードをかざしてください。",
    ),
    "clock_skew": (
        "The code is too old, or the phone's clock is wrong. Show a fresh code.",
        "此码已过时或手机时间有误，请出示新码。",
        "Code trop ancien, ou heure du téléphone fausse. Présentez un nouveau code.",
        "Der Code ist zu alt oder die Uhr des Telefons falsch. Bitte einen neuen zeigen.",
        "El código es antiguo o el reloj del teléfono está mal. Muestre uno nuevo.",
        "コードが古いか、端末の時計が違っています。新しいコードをかざしてください。",
    ),
    "companion_not_allowed": (
        "This card does not pay for a companion.",
        "此卡不支持同行者。",
        "Cette carte ne paie pas d'accompagnant.",
        "Diese Karte zahlt nicht für Begleiter.",
        "Esta tarjeta no paga a un acompañante.",
        "このカードは同行者にはご利用いただけません。",
    ),
    "wrong_challenge": (
        "Type the digits that this gate shows.",
        "请输入本闸机显示的数字。",
        "Saisissez les chiffres affichés ici.",
        "Bitte die hier gezeigten Ziffern eingeben.",
        "Escriba los dígitos que muestra este paso.",
        "改札に表示された数字を入力してください。",
    ),
    "wrong_place": (
        "The code was made elsewhere. Show a fresh code.",
        "此码在其他地点生成，请出示新码。",
        "Code créé ailleurs. Présentez un nouveau code.",
        "Der Code ist von einem anderen Ort. Bitte einen neuen zeigen.",
        "El código es de otro lugar. Muestre uno nuevo.",
        "別の場所で作られたコードです。新しいコードをかざしてください。",
    ),
    "revoked": (
        "This card is blocked. Ask its issuer.",
        "此卡已停用，请联系发卡方。",
        "Carte bloquée. Contactez son émetteur.",
        "Diese Karte ist gesperrt. Bitte beim Herausgeber fragen.",
        "Tarjeta bloqueada. Consulte a su emisor.",
        "このカードは停止されています。発行元にお問い合わせください。",
    ),
    "replay": (
        "This code was used already. Show a fresh code.",
        "此码已使用，请出示新码。",
        "Code déjà utilisé. Présentez un nouveau code.",
        "Der Code wurde schon benutzt. Bitte einen neuen zeigen.",
        "El código ya fue usado. Muestre uno nuevo.",
        "使用済みのコードです。新しいコードをかざしてください。",
    ),
    "offline_cap": (
        "This gate has no network. Please use another gate.",
        "本闸机无网络，请走其他通道。",
        "Passage sans réseau. Prenez un autre passage.",
        "Dieser Durchgang ist ohne Netz. Bitte einen anderen nehmen.",
        "Este paso no tiene red. Use otro paso.",
        "通信できません。ほかの改札をご利用ください。",
    ),
    "trust_list_expired": (
        "This gate must connect first. Please use another gate.",
        "本闸机须先联网，请走其他通道。",
        "Ce passage doit d'abord se connecter. Prenez un autre passage.",
        "Dieser Durchgang muss erst ans Netz. Bitte einen anderen nehmen.",
        "Este paso debe conectarse primero. Use otro paso.",
        "改札の通信が必要です。ほかの改札をご利用ください。",
    ),
}


def text_of(word: str, language: str) -> str:
    """The text in this language, or in the nearest one there is: its base, then English."""
    return _TEXTS[word][LANGUAGES.index(nearest(language))]


def words_of(word: str, languages: Iterable[str]) -> Words:
    """The text in each of these languages, the first first; a text that would come twice comes once."""
    found: dict[str, str] = {}
    for language in languages:
        near = nearest(language)
        found.setdefault(near, text_of(word, near))
    return tuple(found.items())


def nearest(language: str) -> str:
    """The language we have texts in that is nearest to this one (RFC 4647 lookup, then English)."""
    wanted = language.lower()
    for known in LANGUAGES:
        if wanted == known.lower():
            return known
    base = wanted.partition("-")[0]
    for known in LANGUAGES:
        if base == known.lower().partition("-")[0]:
            return known
    return "en"
