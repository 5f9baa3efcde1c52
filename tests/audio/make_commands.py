#!/usr/bin/env python3
"""Writes commands.txt, the sentences of the speech benchmarks: what people say to a robot in a home, a lab or a workshop.

    make_commands.py > commands.txt

Each sentence shape below is filled three to five times with names, rooms, things, numbers and times, drawn with a fixed seed. The list was
made before any of it was given to a recogniser, and nothing was taken out because it was misheard.
"""
import random

ROOMS = """kitchen|living room|bedroom|bathroom|hallway|garage|study|garden|basement|dining room|laundry room|office|workshop|corridor|pantry|
attic|balcony|meeting room|entrance|library""".replace("\n", "").split("|")
THINGS = """cup|bottle of water|apple|red ball|teddy bear|remote control|newspaper|blue towel|screwdriver|coffee mug|banana|glass|laptop|
umbrella|wooden spoon|bowl|book|scissors|toolbox|phone charger|medicine box|plate|orange juice|backpack|keys|flashlight|green box|hammer|
tape measure|pillow|blanket|cereal|tomato|knife|sandwich|watering can|shoes|jacket|letter|battery""".replace("\n", "").split("|")
NAMES = """Anna|Peter|Maria|David|Sarah|Michael|Laura|James|Emma|Thomas|Sophie|Daniel|Julia|Robert|Alice|Martin|Grandma|doctor Brown|mister Taylor|
Susan""".replace("\n", "").split("|")
PLACES = """table|shelf|sofa|window|fridge|front door|charging station|desk|cupboard|stairs|sink|bookcase|bed|plant|printer""".replace("\n", "").split("|")
NUMBERS = """two|three|four|five|six|seven|eight|ten|twelve|fifteen|twenty|thirty|forty five|sixty|ninety""".replace("\n", "").split("|")
COLOURS = "red|blue|green|yellow|white|black|brown|orange".split("|")
HOURS = "one|three|five|six|seven|eight|nine|ten|eleven".split("|")
DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday".split("|")
SHAPES = """Bring the {thing} to the {room}.
Please fetch the {thing} from the {room}.
Go to the {room} and look for the {thing}.
Could you take the {thing} to {name}?
Put the {thing} on the {place}.
Pick up the {colour} box next to the {place}.
Move forward {number} meters.
Turn left {number} degrees and stop.
Turn right at the {place}.
Follow {name} to the {room}.
Wait in the {room} for {number} minutes.
Where is the {thing}?
Have you seen {name} today?
How much battery do you have left?
Go back to the charging station.
What do you see in the {room}?
Stop right now.
Drive slowly through the {room}.
Give the {thing} to {name} in the {room}.
Is there anybody in the {room}?
Remember that the {thing} belongs to {name}.
Count the chairs in the {room}.
Set a timer for {number} minutes.
Wake me up at {hour} o'clock on {day}.
Tell {name} that dinner is ready.
Open the door of the {room}.
Close the {colour} curtains in the {room}.
Clean the floor of the {room} after {hour}.
Lift your arm by {number} centimeters.
Show me a picture of the {place}.
Who is standing at the front door?
Don't touch the {thing} on the {place}.
Carry {number} plates from the {room} to the {room2}.
Check if the window in the {room} is open.
Say hello to {name}.
Take a photo of the {thing} and send it to {name}.
What time is it in the {room}?
Hand me the {colour} one, not the {colour2} one.
Meet me at the {place} in {number} minutes.
Turn off the light in the {room}.
Turn the music down, please.
Come here, I need your help with the {thing}.
Leave the {thing} where it is.
The {thing} is behind the {place}.
Cancel that and return to the {room}.
Read the message from {name} out loud.
My name is {name}, nice to meet you.
Bring {name} {number} bottles of water.
Map the {room} and avoid the {place}.
Can you reach the {thing} on the top shelf?
Repeat the last instruction, I did not hear you.
Look at the {colour} light above the {place}.
Load the {thing} into the {colour} box and close it.
How many people are in the {room}?
Tell me when {name} comes home on {day}.
Grasp the {thing} gently and lift it up.
Patrol the {room} every {number} minutes until {hour}.
I dropped the {thing} under the {place}.""".split("\n")


def main():
    draw = random.Random(4)
    seen = []
    for shape in SHAPES:
        slots = shape.count("{")
        for _ in range(1 if slots == 0 else 4 if slots == 1 else 5):
            colour, colour2 = draw.sample(COLOURS, 2)
            room, room2 = draw.sample(ROOMS, 2)
            text = shape.format(thing=draw.choice(THINGS), room=room, room2=room2, name=draw.choice(NAMES), place=draw.choice(PLACES),
                                number=draw.choice(NUMBERS), colour=colour, colour2=colour2, hour=draw.choice(HOURS), day=draw.choice(DAYS))
            if text not in seen:
                seen.append(text)
    draw.shuffle(seen)
    print("\n".join(seen))


if __name__ == "__main__":
    main()
