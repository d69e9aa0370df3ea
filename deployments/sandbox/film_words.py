"""Words that invented films are made of: titles and plots by genre, names of people who do not exist."""

from typing import NamedTuple


class FilmGenre(NamedTuple):
    """What films of one MovieLens genre are called and about; every phrase fits every template of `PLOTS`."""

    also: tuple[str, ...]  # second genres, as MovieLens spells them
    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    heroes: tuple[str, ...]  # "a ..."
    places: tuple[str, ...]  # "in ...", "aboard ..."
    goals: tuple[str, ...]  # an infinitive without "to"
    troubles: tuple[str, ...]  # a clause in the present
    stakes: tuple[str, ...]  # a clause in the present, after "before" or "until"
    tags: tuple[str, ...]


def _genre(also: str, adjectives: str, nouns: str, tags: str, *phrases: str) -> FilmGenre:
    heroes, places, goals, troubles, stakes = (
        tuple(line.strip() for line in block.strip().splitlines()) for block in phrases
    )
    return FilmGenre(
        also=tuple(also.split()),
        adjectives=tuple(adjectives.split()),
        nouns=tuple(nouns.split()),
        heroes=heroes,
        places=places,
        goals=goals,
        troubles=troubles,
        stakes=stakes,
        tags=tuple(tags.split(", ")),
    )


TMDB_GENRE_IDS = {
    "Action": 28,
    "Adventure": 12,
    "Animation": 16,
    "Children": 10751,
    "Comedy": 35,
    "Crime": 80,
    "Documentary": 99,
    "Drama": 18,
    "Fantasy": 14,
    "Horror": 27,
    "Musical": 10402,
    "Mystery": 9648,
    "Romance": 10749,
    "Sci-Fi": 878,
    "Thriller": 53,
    "War": 10752,
    "Western": 37,
}
"""TMDb's number for each genre of MovieLens; Children is TMDb's Family, Musical its Music."""

GENRES: dict[str, FilmGenre] = {
    "Sci-Fi": _genre(
        "Adventure Thriller Drama Action",
        "Orbital Distant Synthetic Weightless Cobalt Terminal Parallel Frozen Last Silent",
        "Signal Orbit Colony Engine Horizon Android Eclipse Station Frequency Cradle Satellite Protocol",
        "space, robots, time loop, artificial intelligence, first contact, lonely planet",
        """a retired pilot of slow cargo ships
        a xenolinguist nobody takes seriously
        a maintenance android with a borrowed memory
        a botanist on the longest shift of her life
        a young astronaut who failed every test but one
        a clone who was woken eleven years early
        an engineer of gravity clocks""",
        """aboard the generation ship Meridian
        on a mining moon of a dead planet
        in an orbital station over Neptune
        under the glass domes of New Kepler
        in a laboratory beneath the Martian ice
        at the edge of a wormhole that nobody ordered
        in a city run by a patient computer""",
        """decode a signal from an empty star
        wake the sleeping crew
        bring the reactor back to life
        teach the machines how to forget
        carry the last seeds to the colony
        close the loop in time
        reach the probe before the company does""",
        """the navigation computer begins to dream
        the oxygen counts down faster than the clocks
        an alien transmission answers in a human voice
        a second, identical spacecraft appears on the radar
        the robots vote to turn the ship around
        the colony stops answering every call
        gravity fails for nine seconds each night""",
        """the airlock closes for good
        the planet falls into its sun
        the satellites go dark
        the android is switched off
        the crew forgets why it left Earth
        the launch window shuts
        the machine learns to lie""",
    ),
    "Horror": _genre(
        "Thriller Mystery Fantasy",
        "Hollow Crooked Whispering Pale Hungry Buried Rotten Sleepless Unquiet Black",
        "Cellar Doll Mirror Attic Marsh Orchard Grave Lullaby Well Teeth Candle Wallpaper",
        "haunted house, cursed object, slow burn, scary, folk horror, jump scares",
        """a night nurse who cannot sleep
        a widow with a house too large for her
        a medium who has never met a ghost
        a priest without a parish
        a child who talks to the wallpaper
        a taxidermist in debt
        a babysitter on her first evening""",
        """in a haunted sanatorium above the fog
        in a farmhouse that stands where no road goes
        in the flooded cellar of an old hotel
        among the graves of a drowned village
        in an attic nailed shut from the inside
        at the edge of a marsh that keeps its dead
        in a nursery nobody has entered since the war""",
        """survive until the candles burn down
        bury the doll a third time
        find out who is knocking
        keep the cellar door closed
        break the curse of the house
        learn the name of the thing in the well
        get the children out alive""",
        """something under the floor has begun to hum
        the mirrors show a guest nobody invited
        blood seeps from the nursery wall
        the dead come back one place closer every night
        the scarecrow has moved again
        a scream answers every prayer
        the shadows no longer fit their owners""",
        """the thing in the dark learns her voice
        the grave is full again
        midnight strikes for the thirteenth time
        the house has eaten its fill
        the last candle dies
        the demon takes the smallest
        the fog reaches the door""",
    ),
    "Romance": _genre(
        "Comedy Drama Musical",
        "Tender Borrowed Late Secret Endless Sunlit Unsent Careless Second Golden",
        "Letters Summer Kiss Garden Wedding Promise Balcony Violin Heart Spring Dance Postcards",
        "love triangle, tearjerker, slow romance, feel-good, wedding, chemistry",
        """a florist who does not believe in love
        a shy piano tuner
        a translator of other people's love letters
        a bride with cold feet
        a widowed baker and his only customer
        a ferry captain with a broken heart
        a wedding photographer who is never in the picture""",
        """in a sleepy town by the sea
        in a Lisbon bookshop
        on a night train to Trieste
        in a vineyard at harvest time
        at the wedding of an old flame
        in a Paris courtyard full of geraniums
        on an island with one hotel""",
        """fall in love for the last time
        deliver a love letter forty years late
        win back the one who left
        keep a summer promise
        dance together once more
        tell the truth before the wedding
        learn how to be kissed""",
        """a charming stranger takes the room next door
        an old flame returns with a ring
        two hearts share one telephone line
        a misplaced letter promises everything
        the summer refuses to end
        a rival proposes first
        neither dares to say the word""",
        """the last ferry leaves
        the wedding bells ring
        summer is over
        the letter is opened
        one of them marries somebody else
        the music stops
        love finds another address""",
    ),
    "Comedy": _genre(
        "Romance Children Crime",
        "Improbable Accidental Clumsy Grand Polite Reluctant Ridiculous Lucky Overdue Cheap",
        "Uncle Goat Vacation Plumber Reunion Sausage Inspector Holiday Wedding Budget Moustache Neighbours",
        "funny, slapstick, awkward, quirky, deadpan, family chaos",
        """an overconfident plumber
        a mayor who lost a bet
        a pair of hopeless twins
        a divorced stage magician
        a customs officer with a soft spot for goats
        a grandmother on a stolen moped
        a motivational speaker who cannot get out of bed""",
        """in a village with one traffic light
        at the worst holiday resort in Europe
        in an office where nobody knows who is boss
        at a family reunion without an exit
        in a caravan stuck on a roundabout
        at the regional sausage championship
        in a hotel double-booked by two weddings""",
        """return the mayor's goat unseen
        win the dance contest by mistake
        hide a very large cake
        save the bowling club from bankruptcy
        survive dinner with the in-laws
        pretend to be a doctor for one weekend
        get a refund""",
        """the parrot repeats everything to the police
        the wrong uncle comes out of the wrong cupboard
        a harmless lie needs a bigger one
        the inspector falls into the wedding cake
        everybody mistakes the plumber for a prince
        the neighbours start a rival parade
        the moustache comes off""",
        """anybody notices
        the soup is served
        the tax inspector wakes up
        the brass band arrives
        the goat eats the evidence
        grandmother finds the keys
        the laughter stops being polite""",
    ),
    "Crime": _genre(
        "Thriller Drama Action Mystery",
        "Crooked Dirty Easy Cold Marked Broken Double Blind Midnight Paper",
        "Heist Alibi Ledger Debt Informer Vault Verdict Streets Syndicate Getaway Bullet Witness",
        "heist, gangster, undercover, neo-noir, corruption, revenge",
        """a safecracker one job from retirement
        a disgraced detective
        an accountant of the mob
        a getaway driver with a stammer
        an informer with two names
        a prosecutor who grew up on the wrong street
        a pickpocket who steals the wrong wallet""",
        """in the harbour district of a rotten city
        in the back room of a betting shop
        in a bank that opens only at night
        on the rain-soaked streets of Marseille
        in a police station where everyone is paid twice
        behind the bars of Stonemoor prison
        in a casino owned by cousins""",
        """rob the vault of the Banco Aurora
        get the ledger to the prosecutor
        pay the debt of a dead brother
        find the killer of a small-time gangster
        leave the syndicate alive
        frame the man who framed him
        make one clean getaway""",
        """a bag of stolen diamonds turns up in the morgue
        a crooked cop wants his half
        the witness changes her story
        the gang suspects a traitor
        the alarm was never switched off
        a murdered banker receives a telephone call
        the boss sends his most polite killer""",
        """the police close the bridge
        the jury returns
        the money is counted
        the mob learns his real name
        the next body is found
        the safe clicks shut
        dawn brings the detectives""",
    ),
    "Western": _genre(
        "Action Drama Adventure",
        "Dusty Lonesome Iron Scorched Nameless Bitter Copper Wild Thirsty Red",
        "Canyon Saddle Sheriff Rider Outlaw Creek Mesa Revolver Stampede Gallows Homestead Coyote",
        "gunfight, frontier, revenge, outlaws, desert, cattle drive",
        """a sheriff without bullets
        a bounty hunter going blind
        a homesteader with nothing left to burn
        an outlaw who found religion
        a stagecoach driver from Copper Creek
        a rancher's daughter with a steady hand
        a gambler on a stolen horse""",
        """in a frontier town that lost its well
        along the cattle trail to Dry Fork
        in the saloon of Perdition Springs
        at a railway camp in the desert
        in the canyon of the red mesa
        on the last homestead of the prairie
        at the gallows of Fort Harlan""",
        """bring the outlaw to the judge
        drive the cattle across the desert
        win back the ranch at cards
        avenge a brother shot in the back
        hold the pass until the cavalry comes
        dig the first honest well
        ride out of town alive""",
        """five riders come down from the mesa
        the railroad baron buys the sheriff
        a hanged man is seen at the saloon
        the waterhole is poisoned
        the gang robs the stagecoach at noon
        the herd stampedes towards the town
        an old revolver changes hands""",
        """high noon
        the dust settles
        the outlaws saddle their horses
        the last bullet is fired
        the river runs dry
        the hangman arrives by train
        the desert takes them all""",
    ),
    "Fantasy": _genre(
        "Adventure Children Romance",
        "Enchanted Thorned Ancient Silver Forgotten Winged Moonlit Emerald Cursed Wandering",
        "Kingdom Dragon Crown Sorcerer Forest Amulet Oath Tower Raven Prophecy Lantern Unicorn",
        "magic, dragons, quest, fairy tale, sorcery, chosen one",
        """a goose girl with a dragon's shadow
        an apprentice sorcerer who cannot read
        a knight turned into a heron
        the youngest witch of seven
        a mapmaker of lands that move
        a thief who stole the wrong crown
        a prince nobody prophesied""",
        """in a kingdom hidden behind a waterfall
        in the enchanted forest of Ellowmere
        in the tower where winter is kept
        at the court of the moth queen
        in a village guarded by a sleeping giant
        beyond the silver gate
        in a market where spells are sold by weight""",
        """return the dragon's last egg
        break the spell of the frozen king
        find the sword that sings
        carry a lantern through the underworld
        outwit the sorcerer of the salt tower
        learn the true name of the moon
        bring magic back to the valley""",
        """the trees begin to walk at night
        an ancient curse wakes under the castle
        the ravens bring a crown without a head
        the wizard's apprentice opens the ninth door
        the dragon asks a riddle
        the prophecy names two heroes
        the enchanted river changes its mind""",
        """the moon is swallowed
        the last unicorn leaves the forest
        the spell becomes eternal
        the dragon wakes
        the winter queen claims her throne
        the magic runs out
        the third wish is spoken""",
    ),
    "War": _genre(
        "Drama Action Romance",
        "Bitter Muddy Farthest Burning Lost Faithful Grey Ragged Quiet Winter",
        "Trench Battalion Bridge Telegram Regiment Front Ceasefire Convoy Medal Siege Frontier Bugle",
        "soldiers, trenches, resistance, siege, anti-war, based on memoirs",
        """a field surgeon in her second winter
        a telegraph operator of nineteen
        a deserter with a dead man's papers
        a sergeant who promised to bring them home
        a bomber crew on its final mission
        a girl of the resistance
        a chaplain without faith""",
        """in the trenches of a forgotten front
        in a besieged city in winter
        behind enemy lines
        at a bridge both armies need
        in an occupied village
        aboard a convoy in the Arctic
        in a field hospital without morphine""",
        """hold the bridge until morning
        carry the ceasefire to the front
        smuggle the wounded past the soldiers
        bring the regiment home
        blow up the railway before the offensive
        find a brother among the prisoners
        bury the fallen under fire""",
        """the artillery falls on both sides
        an enemy soldier asks for water
        the order to attack comes two days after the peace
        a sniper holds the only well
        the supplies end and the snow begins
        the battalion is cut off
        the captain loses his nerve""",
        """the guns open fire
        the armistice is signed
        the tanks cross the river
        the last letter is delivered
        the siege breaks
        the bugle sounds
        the regiment is no more""",
    ),
    "Documentary": _genre(
        "Drama Musical War",
        "Visible Vanishing Ordinary Patient True Invisible Rising Slow Public Unfinished",
        "Harvest River Archive Glacier Voices Bread Island Beekeepers Map Weavers Salt Museum",
        "nature, interviews, archive footage, climate, portrait, thought-provoking",
        """a beekeeper in the tenth year of drought
        a choir of retired miners
        a glaciologist with an old camera
        the last weaver of a mountain valley
        an archivist of lost films
        a family of salt farmers
        a street photographer aged ninety""",
        """on the shrinking shores of an inland sea
        in an archive of half a million photographs
        in the workshops of a vanishing craft
        on a melting glacier in Iceland
        in the bakeries of Tbilisi
        at a school without walls
        along the longest river of the continent""",
        """record the sounds of a dying language
        follow one loaf of bread around the world
        measure the ice one last time
        restore a film that nobody has seen
        explain what happened to the fish
        keep an old craft alive
        give the villagers a voice""",
        """interviews and rare footage tell a different story
        scientists and neighbours disagree
        the archive turns out to be full of surprises
        a factory wants the water
        the young are leaving for the city
        the data no longer fit the textbooks
        the camera becomes part of the story""",
        """the last speaker falls silent
        the glacier is gone
        the footage fades
        the bees return
        the village is flooded by the dam
        the season ends
        the museum closes""",
    ),
    "Animation": _genre(
        "Children Comedy Adventure Fantasy",
        "Tiny Brave Paper Bouncing Rainbow Wobbly Curious Sleepy Upside-Down Marmalade",
        "Penguin Balloon Robot Hedgehog Pirates Snail Acorn Teapot Moon Kitten Circus Submarine",
        "talking animals, for kids, hand-drawn, cute, friendship, colourful",
        """a hedgehog afraid of balloons
        a penguin who wants to fly
        a paper boat with a big dream
        a very small robot
        a kitten raised by pirates
        a snail in a hurry
        a teapot that ran away from home""",
        """in a toy shop after closing time
        in a treehouse at the top of the world
        at the bottom of a friendly sea
        in a forest of talking animals
        in a circus that travels by cloud
        inside a snow globe
        in the animal school of Pimpleton""",
        """find the way home before bedtime
        win the great acorn race
        teach a dragonfly to swim
        rescue the moon from a kite string
        make one true friend
        save the circus from the rain
        prove that small animals can be brave""",
        """a grumpy badger steals all the colours
        the toys discover that they can sing
        a cloud falls in love with a kite
        the squirrels declare a holiday
        a lost egg hatches into a surprise
        the ducklings take the wrong bus
        a friendly monster sneezes""",
        """the sun comes up
        the children wake
        the last balloon flies away
        the snow globe is shaken
        the big race begins
        winter sleep starts
        everybody is home for pancakes""",
    ),
    "Mystery": _genre(
        "Thriller Crime Drama",
        "Missing Veiled Locked Seventh Absent Silent Unsigned Hidden Vanished Perfect",
        "Guest Key Manuscript Alibi Lighthouse Clockmaker Portrait Train Footprint Secret Inheritance Stranger",
        "whodunit, detective, twist ending, locked room, secrets, atmospheric",
        """a detective who has lost his memory
        a librarian with an eye for handwriting
        an heiress who was declared dead
        a crossword editor
        an insurance investigator from out of town
        a retired judge on a train
        a lighthouse keeper's sister""",
        """in a manor cut off by the tide
        on a sleeper train in the snow
        in a library where one book is always missing
        in a lighthouse without a keeper
        at the reading of a strange will
        in a small town that keeps one secret
        in a hotel whose seventh guest never signs""",
        """solve a murder that has not been reported
        find the missing manuscript
        open the locked room
        name the killer among the guests
        learn who sent the unsigned letters
        trace a disappearance of twenty years ago
        decipher the clue in the portrait""",
        """every suspect has the same alibi
        the victim is seen at breakfast
        a key turns up that fits no door
        the footprints end in the middle of the field
        the detective finds his own name in the file
        a clue is left on the piano each night
        the clock in the hall runs backwards""",
        """the tide cuts off the island
        the killer strikes again
        the train reaches the border
        the last suspect talks
        the truth comes out
        the portrait is sold
        the guests depart""",
    ),
    "Musical": _genre(
        "Comedy Romance Drama",
        "Velvet Electric Dancing Broken Bright Swinging Neon Restless Sweet Loud",
        "Chorus Stage Tango Rhythm Trumpet Encore Ballroom Melody Cabaret Spotlight Jukebox Serenade",
        "dance, singing, show business, jazz, catchy songs, backstage",
        """a chorus girl with the wrong shoes
        a street singer from the harbour
        a tap dancer with a limp
        a composer who has gone deaf
        a wedding band on its last tour
        a shy cloakroom attendant with a golden voice
        a jazz trumpeter without a trumpet""",
        """in a bankrupt cabaret
        backstage at the Teatro Lumière
        in a ballroom above a fish market
        on a tour bus between two stages
        in a school for hopeless singers
        at the tango contest of Rosario
        in a jazz club the night before it closes""",
        """put on a show in nine days
        write one song worth singing
        win the dance contest
        get the orchestra back together
        sing on the big stage just once
        save the old music hall
        teach a millionaire to tap dance""",
        """the leading lady loses her voice
        the orchestra goes on strike
        a talent scout walks into the wrong theatre
        the whole street breaks into song
        the producer runs off with the box office
        two rivals are given the same solo
        the melody turns out to be stolen""",
        """the curtain rises
        the band plays the encore
        the spotlight goes out
        the last song ends
        the critics arrive
        the dancers forget the steps
        opening night""",
    ),
    "Adventure": _genre(
        "Action Fantasy Comedy Children",
        "Lost Uncharted Jade Roaring Hidden Northern Savage Seventh Golden Sunken",
        "Expedition Treasure Compass Volcano Temple Voyage Island Jungle Caravan Idol Summit Corsair",
        "treasure hunt, jungle, expedition, pirates, survival, exotic locations",
        """an explorer with a forged map
        a river pilot and her brother
        a stowaway on a treasure ship
        a mountaineer afraid of heights
        a professor of lost languages
        a smuggler with a conscience
        two orphans and a compass""",
        """in the jungle of an uncharted island
        on the roof of the world
        aboard a corsair of forty guns
        in the temple under the volcano
        with a caravan across the salt desert
        in the caves of the jade river
        on an expedition to the northern ice""",
        """find the treasure of the drowned city
        cross the desert with one camel
        climb the mountain that has no name
        rescue a lost expedition
        steal the idol from the thieves
        sail around the cape in winter
        follow the map to its burning edge""",
        """a rival expedition cuts the ropes
        the volcano begins to rumble
        the map turns out to be a trap
        pirates board the ship at night
        the guide vanishes with the compass
        the bridge over the gorge collapses
        a storm drives them onto a reef""",
        """the monsoon comes
        the volcano erupts
        the pirates reach the island
        the temple sinks into the sea
        the water runs out
        the rope snaps
        the treasure finds a new owner""",
    ),
    "Drama": _genre(
        "Romance Crime War Mystery",
        "Quiet Distant Unspoken Ordinary Fragile Winter Inherited Slow Broken Open",
        "Kitchen Father Harbour Inheritance Silence Daughters Orchard Sunday Factory Window Photograph Tide",
        "family, character study, moving, small town, grief, great acting",
        """a factory worker on the eve of her retirement
        a father who has not spoken for a year
        a young teacher in her first post
        two sisters who share one inheritance
        a boxer turned baker
        a mother looking for her grown son
        a doctor with a bad conscience""",
        """in a fishing town without fish
        in a tower block on the edge of the city
        on a farm that has to be sold
        in the kitchen of a crowded flat
        in a school threatened with closure
        at a hospital on the night shift
        in the house of a dead father""",
        """forgive a brother
        keep the family together
        tell the children the truth
        begin again after a loss
        save the farm from the bank
        care for an ageing mother
        speak at last about the accident""",
        """an old photograph opens an old wound
        the factory closes without a warning
        a long-buried family quarrel comes home
        the illness returns
        a daughter arrives with an unknown grandson
        grief settles in the house like a lodger
        nobody at the table says what they mean""",
        """the house is sold
        the winter is over
        the family falls apart
        the father comes home
        the silence becomes a habit
        the school bell rings for the last time
        it is too late to say sorry""",
    ),
}

OPENINGS = (
    "{Hero} has one chance, {place}, to {goal}.",
    "{Name} is {hero}, and has only one wish: to {goal}.",
    "When {name}, {hero}, is stranded {place}, {trouble}.",
    "Life {place} is quiet enough for {name}, {hero}, until {trouble}.",
    "Nobody {place} expects much of {name}, {hero}.",
    "{Hero} has sworn never to look back, but {trouble}.",
)
TURNS = (
    "But {trouble}, and there is little time to {goal}.",
    "Together with {hero}, {name} sets out to {goal} before {stake}.",
    "Then {trouble}, and {name} must choose between going home and trying to {goal}.",
    "An unlikely friendship with {hero} begins {place}.",
    "{Place}, {trouble}.",
    "Every attempt to {goal} makes it worse: {trouble}.",
)
ENDINGS = (
    "It will take more than courage to {goal} before {stake}.",
    "Soon {trouble}, and nothing is as it was.",
    "All that remains is to {goal}, until {stake}.",
    "What {name} finds {place} changes everything.",
    "By the time {stake}, only one of them still wants to {goal}.",
)
SEQUEL_OPENINGS = (
    "Years after the events of {before}, {name} returns.",
    "{Name} thought it was over, but the story that began in {before} has an heir.",
    "The long-awaited second part of {before} finds {name} older and no wiser.",
)

TITLE_PATTERNS = (
    "The {adjective} {noun}",
    "The {adjective} {noun}",
    "{adjective} {noun}",
    "The {noun} of {town}",
    "{noun} and {other}",
    "{noun} for {first}",
    "{first}'s {noun}",
    "Beyond the {noun}",
    "No {noun}, No {other}",
    "The {noun}, the {other} and {first}",
    "The {noun} Beneath the {other}",
    "{adjective} {noun}: {town}",
    "{number} {adjective} Days in {town}",
)
NUMBERS = ("Two", "Three", "Five", "Seven", "Nine", "Eleven", "Thirteen", "Forty", "A Hundred")
TOWNS = (
    "Ellowmere",
    "Vantriso",
    "Port Sableau",
    "Karsholm",
    "Dunmarrow",
    "Ostravik",
    "Belmontagne",
    "Quillhaven",
    "San Aurelio",
    "Thornby",
    "Maravilha",
    "Ashenvale",
    "Cormorant Bay",
    "Tsukimori",
)

# English title, title of the original, genre: MovieLens puts the second in brackets.
FOREIGN_TITLES = (
    ("The Last Orchard", "Le dernier verger", "Drama"),
    ("Salt on the Windowsill", "Sal en la ventana", "Drama"),
    ("The Clockmaker's Niece", "Die Nichte des Uhrmachers", "Mystery"),
    ("Rain over Tsukimori", "月森の雨", "Romance"),
    ("The Heron Who Was King", "Il re airone", "Fantasy"),
    ("A Train Named Vera", "Поезд по имени Вера", "War"),
    ("Our Goat in Lisbon", "A nossa cabra em Lisboa", "Comedy"),
    ("The Night Has Seven Doors", "La notte ha sette porte", "Horror"),
    ("Paper Lighthouse", "종이 등대", "Romance"),
    ("Moustache Season", "Überall Schnurrbärte", "Comedy"),
    ("The Salt Caravan", "قافلة الملح", "Adventure"),
    ("My Brother the Moon", "Min bror månen", "Sci-Fi"),
    ("Songs of the Tin Roof", "टीन की छत के गीत", "Musical"),
    ("The Ledger", "Księga długów", "Crime"),
    ("Small Thunder", "小さな雷", "Animation"),
    ("Nobody's Harbour", "Το λιμάνι κανενός", "Drama"),
    ("Beekeepers of Karsholm", "Biavlerne fra Karsholm", "Documentary"),
    ("Seven Coffins, One Mule", "Sette bare, un mulo", "Western"),
    ("The Weightless", "失重的人", "Sci-Fi"),
    ("Émilie Does Not Answer", "Émilie ne répond pas", "Mystery"),
)

FIRST_NAMES = (
    "Orla Bastian Ximena Teodor Žofie Søren Amaia Kwame Ingibjörg Noé Yuki Rafaela Casimir Łucja Farid Mireille "
    "Anselm Dilnoza Ebbe Solveig Tomasz Nkechi Emre Odile Ruben Chiara Hyun-woo Petra Iñigo Lakshmi Björn Zeynep "
    "Matteo Wanjiru Élodie Ivo Saoirse Jovan Aurélien Mirta"
).split()
SURNAMES = (
    "Vantreeve Quillmoor Ostermadd Brindlewick Castravane Duskwater Fenrothy Galloweth Harrowmint Ilvané "
    "Jorrisande Kestrelby Lumenfeldt Marrowgate Nettlecombe Obrassanti Pellagrove Quessadier Rookhaven Sableux "
    "Tindervall Umbrasco Vespermann Wexelbaum Yarrowick Zubizarrol Ålgrensson Böckelhart Çandaroglu Dvořáčkina "
    "Eiderhalm Fjordmannen Glimmerstad Hollowaye Inkheartley Jasperoni Kirschblum Løvehjort Moonstrand Nightingalo"
).split()
