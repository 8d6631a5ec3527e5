def test_a_generated_transformer_is_chosen(page, server):
    page.goto(f"{server}/graph")
    page.get_by_role("tab", name="Generate").click()
    page.get_by_text("Transformer", exact=True).first.click()
    layers = page.get_by_role("spinbutton", name="Layers")
    layers.wait_for()
    layers.fill("4")
    page.get_by_role("button", name="Generate").click()
    page.get_by_text("Generated here.").first.wait_for()


def test_the_gallery_has_a_picture_of_each_sample_and_one_is_chosen(page, server):
    page.goto(f"{server}/graph")
    page.get_by_role("tab", name="Gallery").click()
    pictures = page.get_by_role("img", name="scheduled by")
    pictures.nth(10).wait_for()
    page.get_by_role("button", name="Choose").first.click()
    page.get_by_text("The smallest pipeline").first.wait_for()
