from ser.corpora import emodb, ravdess, urdu
from ser.corpora.facts import join_facts


def test_the_descriptions_of_joined_corpora_are_divided_by_semicolons():
    facts = {"ravdess": ravdess.SPEECH, "emodb": emodb.FACTS, "urdu": urdu.FACTS}
    assert join_facts(facts).description == (
        "RAVDESS, speech part (CC BY-NC-SA 4.0); EMO-DB, Berlin Database of Emotional Speech; URDU (research only)"
    )
