-- Searches find contacts by their telephone numbers: the words of those that have one are stored again by a replica of this release, in the
-- background. An older binary still runs; it stores no words of telephone numbers, so
-- a contact that it indexes meanwhile is found by its number when it is next changed.
UPDATE contacts SET search_version = 0 WHERE phone <> '';
