"""Words that invented songs are made of: genres with their sound, languages, names of artists who do not exist."""

from typing import NamedTuple


class Sound(NamedTuple):
    """Mean of each audio feature in one genre; the genres lie further apart than Spotify's real ones."""

    danceability: float
    energy: float
    loudness_db: float
    speechiness: float
    acousticness: float
    instrumentalness: float
    valence: float
    tempo_bpm: float


class SongGenre(NamedTuple):
    """A genre and its subgenres, named as in the TidyTuesday table of 30,000 songs."""

    subgenres: tuple[str, ...]
    languages: tuple[str, ...]  # likelier the more often they are named
    sound: Sound
    words: tuple[str, ...]  # English nouns of its titles
    playlists: tuple[str, ...]  # "{0}" is the subgenre


class Language(NamedTuple):
    """How artists and songs of one language are called."""

    first: tuple[str, ...]
    last: tuple[str, ...]
    bands: tuple[str, ...]
    nouns: tuple[str, ...]
    both: str  # "{} and {}"
    phrases: tuple[str, ...]
    family_first: str | None = None  # how family and given name are joined where the family name comes first


GENRES: dict[str, SongGenre] = {
    "pop": SongGenre(
        ("dance pop", "electropop", "indie poptimism", "post-teen pop"),
        tuple("en en en en en sv fr ko ja es pt zh de".split()),
        Sound(0.66, 0.68, -6.0, 0.06, 0.17, 0.02, 0.58, 116.0),
        tuple("Mirror Heartbeat Lipstick Polaroid Sugar Fever Crush Glitter Telephone Weekend Daydream Neon".split()),
        ("Bright {0}", "{0} for Tuesdays", "Sing Along: {0}"),
    ),
    "rap": SongGenre(
        ("hip hop", "southern hip hop", "gangster rap", "trap"),
        tuple("en en en en fr de ar ko tr pt".split()),
        Sound(0.75, 0.64, -7.0, 0.24, 0.14, 0.02, 0.47, 96.0),
        tuple("Crown Corner Concrete Paper Ledger Hustle Elevator Receipt Kingdom Sneakers Block Verse".split()),
        ("Pavement {0}", "{0} Cypher", "Late Bars: {0}"),
    ),
    "rock": SongGenre(
        ("classic rock", "hard rock", "album rock", "permanent wave"),
        tuple("en en en en ru is el pl de tr ja sv".split()),
        Sound(0.48, 0.82, -6.6, 0.05, 0.08, 0.08, 0.48, 132.0),
        tuple("Thunder Highway Rust Engine Gravel Wolf Avalanche Iron Smoke Railroad Howl Ember".split()),
        ("Loud Attic: {0}", "{0} Garage", "Long Drives, {0}"),
    ),
    "latin": SongGenre(
        ("latin pop", "reggaeton", "tropical", "latin hip hop"),
        tuple("es es es es pt pt en".split()),
        Sound(0.78, 0.74, -5.6, 0.09, 0.22, 0.01, 0.74, 103.0),
        tuple("Mango Carnival Verano Hammock Calle Palmtree Siesta Guitar Coast Lantern Spice Horizon".split()),
        ("Terraza {0}", "{0} al Sol", "Baile: {0}"),
    ),
    "r&b": SongGenre(
        ("neo soul", "urban contemporary", "hip pop", "new jack swing"),
        tuple("en en en en ko fr ja pt".split()),
        Sound(0.63, 0.46, -8.8, 0.10, 0.42, 0.02, 0.44, 92.0),
        tuple("Velvet Honey Midnight Silk Pillow Slow Candle Perfume Patience Bathwater Sunday Whisper".split()),
        ("Soft Focus: {0}", "{0} After Dark", "Velvet {0}"),
    ),
    "edm": SongGenre(
        ("big room", "electro house", "pop edm", "progressive electro house"),
        tuple("en en en en de sv hi fr zh".split()),
        Sound(0.67, 0.89, -4.6, 0.08, 0.05, 0.38, 0.40, 127.0),
        tuple("Strobe Voltage Pulse Horizon Gravity Laser Static Prism Orbit Overdrive Signal Circuit".split()),
        ("Warehouse {0}", "{0} at 4 A.M.", "Strobe: {0}"),
    ),
}

ENGLISH_PATTERNS = (
    "{a}",
    "{a} & {b}",
    "{mood} {a}",
    "{mood} {a}",
    "{a} on {place}",
    "Don't Call It {a}",
    "No More {a}",
    "{a}, {b}, {c}",
    "Somebody's {a}",
    "Halfway to {place}",
    "It's Only {a}",
    "{verb} the {a}",
    "{verb} Me {mood}",
    "All My {mood} Friends Are {a}",
    "What the {a} Said",
)
MOODS = tuple("Golden Lonely Electric Broken Blue Reckless Quiet Borrowed Crooked Sleepless Wild Tender".split())
VERBS = tuple("Burn Follow Hold Leave Paint Ride Forget Carry Chase Whisper".split())
PLACES = ("Mercury Street", "the Moon", "Ellowmere", "Ninth Avenue", "Mars", "Nowhere", "the Roof", "Platform 12")

EN_BAND_NOUNS = tuple(
    "Foxes Lanterns Cartographers Orchids Satellites Undertakers Sparrows Machines Tides Librarians Comets Pilots "
    "Architects Mosquitoes Postmen Antlers".split()
)
EN_BAND_ADJECTIVES = tuple(
    "Velvet Paper Nocturnal Copper Reluctant Midnight Hollow Marmalade Invisible Feral Tin Polite Drowsy".split()
)
EN_MONONYMS = tuple(
    "Vesperine Kolibra Lunafex Marzipan Quillon Tessaly Obsidia Nimbo Wrenna Zephyrine Calypsa Ondrel Mirelle Juniko "
    "Sabrielle Draxen".split()
)

LANGUAGES: dict[str, Language] = {
    "en": Language(
        tuple("Della Marlon Ivy Jonah Tamsin Rufus Odessa Clem Hattie Silas Bea Lionel Maeve Otis Priya".split()),
        tuple(
            "Quickwater Moonhaven Tallowby Fairweathers Blackmere Sundergrove Lovelock-Ray Pennyroyal Starling-Voss "
            "Hawkesbloom Wintermoth Goldcrest Larkhollow Brambleton Coalsworth Ashdown-Fry".split()
        ),
        (),
        (),
        "{} and {}",
        (),
    ),
    "es": Language(
        tuple("Lucía Íñigo Marisol Rocío Tadeo Catalina Andrés Paloma Joaquín Inés".split()),
        tuple("Valdeluna Montelirio Cienfuentes Olivares-Mar Peñarrubia Solmayor Ríoseco Altamirón".split()),
        ("Los Faroles", "La Niña Cometa", "Club Naranja", "Los Húngaros de Cuenca", "Señorita Trueno"),
        tuple("Luna Corazón Fuego Lluvia Canción Noche Sombra Mañana Mar Sueño Limón Balcón".split()),
        "{} y {}",
        ("Baila Conmigo, Ratón", "Quédate un Rato", "¿Dónde Está Mi Bicicleta?", "Otra Vez Tú", "Café con Niebla"),
    ),
    "pt": Language(
        tuple("Jacinta Caetê Aurora Tião Inácio Benedita Raí Luzia".split()),
        tuple("Maresias Pintassilgo Ventania Boaventurão Cajueiro Estrelado Pitangueira Brisa-Mar".split()),
        ("Os Vagalumes", "Banda Maçã", "Trio Sabiá Azul", "Coração de Papelão"),
        tuple("Saudade Manhã Coração Praia Chuva Estrela Verão Canção Jardim Amanhã".split()),
        "{} e {}",
        ("Não Me Acorde", "Dança na Chuva", "Até a Próxima Estação", "Meu Avião de Papel"),
    ),
    "fr": Language(
        tuple("Élodie Gaspard Maëlle Anaïs Cyprien Hélène Loïc Noémie".split()),
        tuple("Clairbrume Montréverie Delasource Fauxsoleil Rivenoire Belétang Chantelune Vauquelune".split()),
        ("Les Parapluies Fâchés", "Éclair au Café", "La Fanfare Timide", "Zéro Degré"),
        tuple("Été Forêt Étoile Minuit Fenêtre Rêve Fumée Hiver Océan Vélo".split()),
        "{} et {}",
        ("Où Va la Nuit", "Déjà Demain", "Ça Ira, Peut-Être", "Mon Cœur à Crédit"),
    ),
    "de": Language(
        tuple("Änne Jörg Lotte Günther Frieda Björn Käthe Anselm".split()),
        tuple("Morgenröthe Silberbach Nachtfalk Kupfermühl Wolkenstein-Grün Löwenzahnd Federkiel Brausewind".split()),
        ("Die Müden Räuber", "Größenwahn GmbH", "Fräulein Störung", "Straßenlicht"),
        tuple("Nacht Straße Mond Glück Regen Träume Feuer Himmel Grüße Küste".split()),
        "{} und {}",
        ("Für Immer Müde", "Schön, Dass Du Störst", "Kein Zurück", "Süßer Lärm"),
    ),
    "sv": Language(
        tuple("Åsa Nils Ebba Sören Märta Linnéa Östen Tuva".split()),
        tuple("Snöberg Månstråle Granlöf Havsöga Björkvind Stjärnfors Ljunghed Isfågel".split()),
        ("Blåbärslandet", "De Sömniga Älgarna", "Norrskensklubben"),
        tuple("Snö Hjärta Måne Sommar Skärgård Ljus Dröm Väg Köld Sång".split()),
        "{} och {}",
        ("Kom Hem Nån Gång", "Dansa på Isen", "Så Länge Vi Är Här"),
    ),
    "is": Language(
        tuple("Sólrún Þórður Eydís Hrafn Álfheiður Ísak".split()),
        tuple("Norðljósdóttir Hrafnfjörð Jöklason Snæþórsson Eldeyjar Bergmáls".split()),
        ("Þokan", "Hvítar Nætur", "Ösku Kór"),
        tuple("Hafið Ljósið Nóttin Vindur Jökull Draumur Ís Sól".split()),
        "{} og {}",
        ("Allt í Lagi", "Komdu Heim í Kvöld", "Undir Norðurljósum"),
    ),
    "pl": Language(
        tuple("Żaneta Łukasz Bożena Wit Świętosława Kazimierz".split()),
        tuple("Księżyński Mglisty-Brzeg Złotowąs Śnieżyńska Wronomir Zorzewska".split()),
        ("Żółte Światła", "Kino Szum", "Ptaki z Miedzi"),
        tuple("Noc Księżyc Deszcz Ogień Zima Rzeka Miasto Światło".split()),
        "{} i {}",
        ("Nie Ma Mnie w Domu", "Jeszcze Jeden Pociąg", "Gdzie Śpią Tramwaje"),
    ),
    "tr": Language(
        tuple("Defne Çağlar Gülşen Işıl Ömür Tuğçe".split()),
        tuple("Aydoğmuş Kırlangıçlı Yıldızbağ Denizören Gümüşdal Rüzgaroğlu".split()),
        ("Gece Vapuru", "Üç Çınar", "Kayıp Şehir"),
        tuple("Gece Deniz Rüzgar Yağmur Şehir Güneş Düş Ateş".split()),
        "{} ve {}",
        ("Bir Gün Döneceğim", "Kal Biraz Daha", "Sokağın Sesi"),
    ),
    "ru": Language(
        tuple("Ярослава Мирон Злата Тимофей Варвара Ефим".split()),
        tuple("Снегирёва Полуночный Звездов Ветрова Лунин Журавлёв".split()),
        ("Зимний Трамвай", "Кино без Звука", "Медные Птицы", "Тихий Океан"),
        tuple("Ночь Город Дождь Снег Море Поезд Осень Звезда Река Огонь".split()),
        "{} и {}",
        ("Не звони мне утром", "Последний трамвай", "Где живёт ветер"),
    ),
    "el": Language(
        tuple("Μελίνα Στάθης Ξένια Ορέστης Δανάη Φοίβος".split()),
        tuple("Φεγγαράκης Ανεμοδούρας Θαλασσινού Αστερίδης Βροχάκη Λιμανάκης".split()),
        ("Χάρτινα Πουλιά", "Νυχτερινό Πλοίο"),
        tuple("Θάλασσα Νύχτα Φως Βροχή Καλοκαίρι Φεγγάρι Δρόμος Άνεμος".split()),
        "{} και {}",
        ("Μη Μου Φωνάζεις", "Πού Πας Απόψε", "Ένα Τραίνο Ακόμα"),
    ),
    "ar": Language(
        tuple("ليان سامر نجوى زياد رنا فارس".split()),
        tuple("القمراوي النسيم البحري الياسميني السحابي الفجري".split()),
        ("مقهى الليل", "أوتار الرمل"),
        tuple("ليل قمر بحر مطر شمس حلم قلب نجمة".split()),
        "{} و{}",
        ("يا طير الشمال", "وين الطريق", "سهرة على السطح"),
    ),
    "hi": Language(
        tuple("मीरा आरव चाँदनी कबीर तारा रोहन".split()),
        tuple("सितारिया बादलकर चंद्रमणि सावनिया दीपकांत नदीवाल".split()),
        ("नीली पतंग", "आधी रात क्लब"),
        tuple("रात बारिश चाँद सपना दिल सागर रोशनी हवा".split()),
        "{} और {}",
        ("कल फिर मिलेंगे", "छत पर तारे", "धीरे धीरे चल"),
    ),
    "ja": Language(
        tuple("灯 蒼太 結月 澪 奏 陽向".split()),
        tuple("月岡原 霧島野 星ヶ瀬 雨宮寺 夕凪 風祭沢".split()),
        ("深夜水族館", "紙飛行機クラブ", "テレビの雪", "みずいろ電車"),
        tuple("夜 海 雨 星 夏 東京 花火 夢 窓 電車".split()),
        "{}と{}",
        ("君のいない朝", "おやすみロボット", "さよならシティ", "冬の終わりに"),
        family_first="",
    ),
    "ko": Language(
        tuple("하늘 지우 별이 도윤 서아 은결".split()),
        tuple("달 노을 강 한별 윤슬 봄".split()),
        ("종이우산", "새벽버스", "유리정원", "고양이 우체국"),
        tuple("밤 바다 비 별 여름 서울 꿈 편지 창문 겨울".split()),
        "{} 그리고 {}",
        ("오늘도 안녕", "너에게 가는 길", "천천히 걸어요", "마지막 버스"),
        family_first="",
    ),
    "zh": Language(
        tuple("小舟 晚晴 云起 知夏 星河 雨桐".split()),
        tuple("月桥 江雾 风铃 白鹭 夜航 山雀".split()),
        ("凌晨茶馆", "纸月亮", "北方列车"),
        tuple("夜 海 雨 星 夏天 城市 梦 月光 河 风".split()),
        "{}与{}",
        ("明天见", "慢慢走回家", "你听雨声", "最后一班车"),
        family_first="",
    ),
}

ALBUM_PATTERNS = ("{title}", "{title}", "{artist}", "{title} (Deluxe)", "{title} EP", "Live at the {hall}")
HALLS = ("Moth Hall", "Salt Theatre", "Ninth Floor", "Old Observatory", "Copper Room")

PLAYLIST_NAMES: dict[str, tuple[str, ...]] = {
    "pop": ("car karaoke", "getting ready", "Happy Songs", "summer 2022", "throwbacks but pop", "good mood"),
    "rap": ("gym", "bars only", "Trap house cleaning", "walking fast", "hype"),
    "rock": ("road trip", "Dad Rock", "guitars!!", "loud", "garage days"),
    "latin": ("fiesta", "cocina", "Verano", "bailar", "siesta then party"),
    "r&b": ("late night", "slow sunday", "Bath Time", "rainy window", "soul food"),
    "edm": ("RUN", "pre-party", "focus (loud)", "Festival Prep", "4am"),
}
PLAYLIST_NOTES = ("songs for the drive to my sister", "do not shuffle", "best with headphones", "work in progress")

COUNTRIES = (
    "United States",
    "United States",
    "United Kingdom",
    "Germany",
    "Brazil",
    "Japan",
    "Spain",
    "Mexico",
    "France",
    "Poland",
    "Sweden",
    "Turkey",
    "Russian Federation",
    "Korea, Republic of",
    "Greece",
    "India",
    "Iceland",
    "Egypt",
)
HOME_LANGUAGE = {
    "Germany": "de",
    "Brazil": "pt",
    "Japan": "ja",
    "Spain": "es",
    "Mexico": "es",
    "France": "fr",
    "Poland": "pl",
    "Sweden": "sv",
    "Turkey": "tr",
    "Russian Federation": "ru",
    "Korea, Republic of": "ko",
    "Greece": "el",
    "India": "hi",
    "Iceland": "is",
    "Egypt": "ar",
}
