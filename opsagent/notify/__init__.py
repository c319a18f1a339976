"""From the notification log to people: what a message looks like on the wire, and when to try again.

It chooses no recipient and opens no incident: what has to be told was decided before it got here.
"""
