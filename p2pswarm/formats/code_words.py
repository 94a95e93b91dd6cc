"""The words of codes: 256 for the first place, 256 others for the second, so that two of them are 16 bits.

They are said over the telephone and typed by hand. So within a list no two begin with the same four letters,
sound alike, or are nearer to each other than three typing errors (the test of this room says how that is
measured), and no word is in both lists: words that were swapped are noticed before anybody is asked.
"""

__all__ = ["FIRST", "SECOND"]

_FIRST = """
acorn album alpine amber anchor antler apple arctic aspen atlas autumn azure badger bakery
bamboo banjo barley basil basket beacon beaver berry bison blossom bonnet border bottle bracelet
bramble branch breeze brick bridge buffalo bugle bulldog butter cabin cactus camel candle canvas
canyon captain caravan cargo carpet cedar chalk chestnut chimney chipmunk circle citrus clarinet
clay cliff clover cobalt cobbler cobra coconut compass cottage coyote cricket crimson crystal
cushion cypress dahlia daisy dancer delta denim desert diamond dolphin domino donkey dragon
drawer drum duckling echo eclipse eggplant elder emerald engine envelope fabric falcon feather
fennel fiddle filter fjord flamingo flint flute forest fossil fountain galaxy garden garlic
gazelle geyser gherkin ginger giraffe glacier gopher granite grape grotto hamlet hammock harbor
harvest hazelnut hedgehog helmet hibiscus hickory holly husky iceberg igloo indigo iris island
ivory jaguar jasmine jigsaw juniper kayak lagoon lantern larch lasso lattice laundry lavender
lemon leopard lilac linen lizard llama lobster locket lotus lynx magnet magpie marble marigold
mercury mimosa mineral mirror mitten monsoon mosaic muffin mulberry mustard nectar needle nickel
nimbus nougat nutmeg oatmeal ocean olive onyx opal orange orchid papaya pasture peacock pebble
pelican penguin piano pilot planet plaster pollen potato pretzel pumpkin quartz quilt rabbit
raccoon radish raven ribbon ribcage rosemary rubber ruby saffron sailor sandal sapphire saturn
seashell sequoia shepherd signal skylark sled slipper snowman sparrow spiral sprout spruce
squirrel stream sugar sunset sycamore teapot tempest thimble thunder tinsel toffee tractor
trellis trolley truffle trumpet tulip turtle umbrella viper vortex waffle walnut water whisker
wisteria wolf wombat yogurt zenith zinc
"""
_SECOND = """
abacus academy acrobat admiral aerial airship alchemy almanac alphabet ancestor android antelope
aquarium archer artist asteroid athlete attic author aviator avocado ballad bandana banquet
battery bazaar bicycle biplane biscuit blizzard bobsled bonfire botany broccoli broom cabbage
calendar camera carnival carousel cashew celery cello champion chariot chemist cinema cinnamon
comedy composer concert cookie courier crescent cucumber cupboard cyclone diploma director
doctor dominion doughnut drizzle dumpling editor electron elephant elevator embassy emperor
encore enigma equator espresso estuary evening explorer fanfare farmer festival firefly fisher
folklore formula fortress frigate gardener gateway genius giant glider gravity guardian gymnast
hamster harmony harpoon helium heritage highway holiday horizon hotel hydrogen imagine infinity
insect inventor janitor javelin jester journal jubilee judge jukebox kangaroo keeper kimono
kingdom kitchen knapsack language laptop lawyer legend library lifeboat luggage lullaby machine
magazine manager mandolin marathon market mascot medley melody meteor minister miracle momentum
monument museum musician mystery nation neighbor neutron nomad notebook novelist nucleus oboe
observer octagon octopus officer opera orbit origami osprey outpost oxygen pagoda painter palace
patrol pavilion pendulum pharmacy photon picnic pilgrim pioneer pizza platoon plumber poet
polygon popcorn postcard prelude prophet pyramid question radar railway rainbow recipe regatta
reporter rotunda ruler safari sandwich scholar scooter sculptor senator serenade shadow sheriff
shuttle snowfall souvenir spectrum spinach stadium steward student swimmer symphony tadpole
tapestry tavern taxi teacher telegram temple tenor terrace theater theorem ticket tornado
tourist traveler treasure tribune triumph trombone tugboat ukulele unicorn utopia vacation
veranda veteran viaduct village vineyard violin visitor vitamin voyage wagon warrior weekend
whistle workshop writer yacht zeppelin zigzag zodiac
"""

FIRST, SECOND = tuple(_FIRST.split()), tuple(_SECOND.split())
