from pipeline.cli.main import main


def test_predict_checks_all_images_before_it_prints(tmp_path, capsys):
    (tmp_path / "serving" / "shiftvit" / "5").mkdir(parents=True)
    (tmp_path / "serving" / "shiftvit" / "5" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not an image")
    assert main(["predict", str(tmp_path / "notes.txt"), "--workspace", str(tmp_path)]) == 3
    out, err = capsys.readouterr()
    assert out == "" and "notes.txt: not a PNG, JPEG, BMP, GIF or WebP image" in err
